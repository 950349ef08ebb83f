// Losses between the float network's outputs and the quantized network's (NUMERICS 8): models of Objective.
#ifndef FAT_TRAIN_LOSS_HPP_INCLUDED
#define FAT_TRAIN_LOSS_HPP_INCLUDED

#include <fat/train/objective.hpp>

#include <algorithm>
#include <cmath>

namespace fat::inline FAT_ABI {

namespace detail {

/// sqrt(sum d^2 / divisor), d = student - teacher; gradient d / (divisor * loss), 0 where the loss is 0.
template <class Real>
double root_mean_square(const Outputs<Real>& outputs, std::span<Real> gradient, double divisor) {
  expect_matching(outputs, gradient);
  double sum = 0.0;
  for (std::size_t i = 0; i != outputs.student.size(); ++i) {
    const double d = static_cast<double>(outputs.student[i]) - static_cast<double>(outputs.teacher[i]);
    sum += d * d;
  }
  const double loss = std::sqrt(sum / divisor);
  const double slope = loss > 0.0 ? 1.0 / (divisor * loss) : 0.0;
  for (std::size_t i = 0; i != gradient.size(); ++i)
    gradient[i] =
        static_cast<Real>(slope * (static_cast<double>(outputs.student[i]) - static_cast<double>(outputs.teacher[i])));
  return loss;
}

/// log(sum exp(z)) of one row, stable for large z.
template <class Real>
double log_sum_exp(std::span<const Real> row) {
  const auto top = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0.0;
  for (const Real z : row) sum += std::exp(static_cast<double>(z) - top);
  return top + std::log(sum);
}

/// Mean over the rows of -log softmax(z)[label]; adds weight * dL/dz to a gradient that is not empty.
template <class Real>
double cross_entropy(std::span<const Real> z, std::span<const std::size_t> labels, double weight,
                     std::span<Real> gradient) {
  const std::size_t rows = labels.size();
  const std::size_t columns = z.size() / rows;
  double sum = 0.0;
  for (std::size_t row = 0; row != rows; ++row) {
    expects(labels[row] < columns, "CombinedLoss: label ", labels[row], " of row ", row, " with ", columns,
            " classes; labels count from 0");
    const std::span<const Real> scores = z.subspan(row * columns, columns);
    const double total = log_sum_exp(scores);
    sum += total - static_cast<double>(scores[labels[row]]);
    if (gradient.empty()) continue;
    for (std::size_t c = 0; c != columns; ++c) {
      const double target = c == labels[row] ? 1.0 : 0.0;
      const double slope = std::exp(static_cast<double>(scores[c]) - total) - target;
      Real& g = gradient[row * columns + c];
      g = static_cast<Real>(static_cast<double>(g) + weight * slope / static_cast<double>(rows));
    }
  }
  return sum / static_cast<double>(rows);
}

}  // namespace detail

/// The paper's loss (eq. 25): sqrt(sum over batch and classes of d^2 / batch size). One large error in a batch weighs
/// more than in a mean of per-image losses.
struct BatchRmse {
  template <class Real>
  double evaluate(const Outputs<Real>& outputs, std::span<Real> gradient) const {
    return detail::root_mean_square(outputs, gradient, static_cast<double>(outputs.rows));
  }
};

/// sqrt(mean d^2) over batch and classes: comparable between networks of different numbers of classes.
struct ElementRmse {
  template <class Real>
  double evaluate(const Outputs<Real>& outputs, std::span<Real> gradient) const {
    return detail::root_mean_square(outputs, gradient, static_cast<double>(outputs.student.size()));
  }
};

/// mean over the batch of the sum over classes of sqrt(d^2 + smoothing): |d| with a rounded corner, robust to outliers.
struct SmoothedAbsolute {
  double smoothing = 1e-5;
  template <class Real>
  double evaluate(const Outputs<Real>& outputs, std::span<Real> gradient) const {
    expect_matching(outputs, gradient);
    const auto rows = static_cast<double>(outputs.rows);
    double sum = 0.0;
    for (std::size_t i = 0; i != outputs.student.size(); ++i) {
      const double d = static_cast<double>(outputs.student[i]) - static_cast<double>(outputs.teacher[i]);
      const double root = std::sqrt(d * d + smoothing);
      sum += root;
      if (!gradient.empty()) gradient[i] = root > 0.0 ? static_cast<Real>(d / (rows * root)) : Real{0};
    }
    return sum / rows;
  }
};

/// The general loss of eq. 24: teacher_labels * H(y, zT) + student_labels * H(y, zA) + distillation * D(zT, zA). H is
/// the cross-entropy with the true classes, D a loss between outputs. The first term does not move the student; it is
/// counted so that values compare with the formula. Label terms of weight 0 need no labels.
template <class Distillation = BatchRmse>
struct CombinedLoss {
  double teacher_labels = 0.0;
  double student_labels = 0.0;
  double distillation = 1.0;
  Distillation distance = {};

  template <class Real>
  double evaluate(const Outputs<Real>& outputs, std::span<Real> gradient) const {
    double loss = distillation * distance.evaluate(outputs, gradient);
    for (Real& g : gradient) g = static_cast<Real>(distillation * static_cast<double>(g));
    if (teacher_labels == 0.0 && student_labels == 0.0) return loss;
    expects(outputs.labels.size() == outputs.rows, "CombinedLoss: ", outputs.labels.size(), " labels for ",
            outputs.rows, " samples; give one label a sample or set the label weights to 0");
    if (teacher_labels != 0.0)
      loss += teacher_labels * detail::cross_entropy(outputs.teacher, outputs.labels, 0.0, std::span<Real>{});
    if (student_labels != 0.0)
      loss += student_labels * detail::cross_entropy(outputs.student, outputs.labels, student_labels, gradient);
    return loss;
  }
};

}  // namespace fat::inline FAT_ABI

#endif
