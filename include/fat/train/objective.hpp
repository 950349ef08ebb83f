// Objective: how far a network's outputs are from where they should be, and in which direction to move them.
#ifndef FAT_TRAIN_OBJECTIVE_HPP_INCLUDED
#define FAT_TRAIN_OBJECTIVE_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <concepts>
#include <cstddef>
#include <span>

namespace fat::inline FAT_ABI {

/// Outputs of one batch before softmax, each [rows, columns] row-major, and the true classes where they are known.
template <class Real>
struct Outputs {
  std::span<const Real> student;
  std::span<const Real> teacher;
  std::size_t rows = 0;
  std::span<const std::size_t> labels = {};

  std::size_t columns() const noexcept { return rows == 0 ? 0 : student.size() / rows; }
};

/// `objective.evaluate(outputs, gradient)` returns the loss and writes dL/dstudent, unless gradient is empty.
/// It neither allocates nor changes the objective.
template <class O, class Real = float>
concept Objective = requires(const O& objective, const Outputs<Real>& outputs, std::span<Real> gradient) {
  { objective.evaluate(outputs, gradient) } -> std::convertible_to<double>;
};

/// Checks that the parts of a batch fit together. Errors: no rows, or lengths that differ.
template <class Real>
void expect_matching(const Outputs<Real>& outputs, std::span<Real> gradient) {
  expects(outputs.rows != 0, "objective: the batch is empty");
  expects(outputs.student.size() == outputs.teacher.size() && outputs.student.size() % outputs.rows == 0,
          "objective: ", outputs.student.size(), " student and ", outputs.teacher.size(), " teacher outputs for ",
          outputs.rows, " rows; both networks must have the same outputs");
  expects(gradient.empty() || gradient.size() == outputs.student.size(), "objective: room for ", gradient.size(),
          " gradients of ", outputs.student.size(), " outputs");
}

}  // namespace fat::inline FAT_ABI

#endif
