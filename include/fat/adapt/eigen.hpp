// Eigen matrices, arrays, maps and expressions as tensors of two axes (rows, columns).
#ifndef FAT_ADAPT_EIGEN_HPP_INCLUDED
#define FAT_ADAPT_EIGEN_HPP_INCLUDED

#include <fat/core/tensor.hpp>

#include <Eigen/Core>

#include <cstddef>
#include <iterator>
#include <type_traits>

namespace fat::inline FAT_ABI {

namespace detail {

/// Visits the coefficients row by row, whatever the storage order is.
template <class Matrix>
class EigenIterator {
 public:
  using value_type = typename std::remove_const_t<Matrix>::Scalar;
  using difference_type = std::ptrdiff_t;

  EigenIterator() = default;
  EigenIterator(Matrix& matrix, Eigen::Index at) : matrix_(&matrix), at_(at) {}
  decltype(auto) operator*() const { return matrix_->coeffRef(at_ / matrix_->cols(), at_ % matrix_->cols()); }
  decltype(auto) operator*() const requires(!requires(Matrix & m) { m.coeffRef(0, 0); }) {
    return matrix_->coeff(at_ / matrix_->cols(), at_ % matrix_->cols());
  }
  EigenIterator& operator++() {
    ++at_;
    return *this;
  }
  EigenIterator operator++(int) {
    EigenIterator before = *this;
    ++at_;
    return before;
  }
  bool operator==(const EigenIterator& other) const { return at_ == other.at_; }

 private:
  Matrix* matrix_ = nullptr;
  Eigen::Index at_ = 0;
};

}  // namespace detail

/// Any dense Eigen expression. Results are Eigen matrices or arrays of the same static extents and row-major storage
/// where Eigen has it.
template <class T>
  requires std::is_base_of_v<Eigen::DenseBase<T>, T>
struct tensor_traits<T> {
  using value_type = typename T::Scalar;
  static std::size_t dimension(const T&) noexcept { return 2; }
  static std::size_t shape(const T& t, std::size_t axis) {
    return static_cast<std::size_t>(axis == 0 ? t.rows() : t.cols());
  }
  static std::size_t size(const T& t) { return static_cast<std::size_t>(t.size()); }
  template <class Self>
  static auto begin(Self& t) {
    if constexpr (dense_row_major<Self>)
      return t.data();
    else
      return detail::EigenIterator<Self>{t, 0};
  }
  template <class Self>
  static auto end(Self& t) {
    if constexpr (dense_row_major<Self>)
      return t.data() + t.size();
    else
      return detail::EigenIterator<Self>{t, t.size()};
  }
  template <class U>
  static auto like(const T& t) {
    using Plain = typename T::PlainObject;
    constexpr int rows = Plain::RowsAtCompileTime;
    constexpr int columns = Plain::ColsAtCompileTime;
    constexpr int order = columns == 1 && rows != 1 ? Eigen::ColMajor : Eigen::RowMajor;
    if constexpr (std::is_base_of_v<Eigen::ArrayBase<T>, T>)
      return Eigen::Array<U, rows, columns, order>(t.rows(), t.cols());
    else
      return Eigen::Matrix<U, rows, columns, order>(t.rows(), t.cols());
  }

 private:
  /// Owning row-major objects and vectors lie in memory in the order of the tensor.
  template <class Self>
  static constexpr bool dense_row_major =
      std::is_base_of_v<Eigen::PlainObjectBase<std::remove_const_t<Self>>, std::remove_const_t<Self>> &&
      (T::IsRowMajor || T::IsVectorAtCompileTime);
};

}  // namespace fat::inline FAT_ABI

#endif
