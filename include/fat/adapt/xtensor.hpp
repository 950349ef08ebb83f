// xtensor: what results from its containers and expressions. They model fat::Tensor without this header.
#ifndef FAT_ADAPT_XTENSOR_HPP_INCLUDED
#define FAT_ADAPT_XTENSOR_HPP_INCLUDED

#include <fat/core/tensor.hpp>

#include <xtensor/xarray.hpp>
#include <xtensor/xfixed.hpp>
#include <xtensor/xtensor.hpp>

#include <tuple>

namespace fat::inline FAT_ABI {

/// Anything of xtensor that has values: containers, views, lazy expressions.
template <class T>
concept XtensorExpression = MemberTensor<T> && xt::is_xexpression<T>::value;

namespace detail {

/// The container of elements U that takes the place of an xtensor type: its rank is that of its shape's type.
template <class T, class U, class Extents = std::remove_cvref_t<typename T::shape_type>>
struct XtensorRebind {
  using type = xt::xarray<U>;
};
template <class T, class U, class Extents>
  requires requires { std::tuple_size<Extents>::value; }
struct XtensorRebind<T, U, Extents> {
  using type = xt::xtensor<U, std::tuple_size<Extents>::value>;
};
template <class Storage, std::size_t N, xt::layout_type L, class Tag, class U, class Extents>
struct XtensorRebind<xt::xtensor_container<Storage, N, L, Tag>, U, Extents> {
  using type = xt::xtensor<U, N, L>;
};
template <class Storage, xt::layout_type L, class Index, class Tag, class U, class Extents>
struct XtensorRebind<xt::xarray_container<Storage, L, Index, Tag>, U, Extents> {
  using type = xt::xarray<U, L>;
};
template <class Storage, class Static, xt::layout_type L, bool Sharable, class Tag, class U, class Extents>
struct XtensorRebind<xt::xfixed_container<Storage, Static, L, Sharable, Tag>, U, Extents> {
  using type = xt::xtensor_fixed<U, Static, L>;
};

}  // namespace detail

/// Results are the same container with other elements; of views and expressions xt::xtensor, or xt::xarray where the
/// rank is known at run time only.
template <XtensorExpression T>
struct tensor_traits<T> {
  using value_type = std::remove_const_t<typename T::value_type>;
  static std::size_t dimension(const T& t) { return static_cast<std::size_t>(t.dimension()); }
  static std::size_t shape(const T& t, std::size_t axis) { return static_cast<std::size_t>(t.shape(axis)); }
  static std::size_t size(const T& t) { return static_cast<std::size_t>(t.size()); }
  template <class Self>
  static auto begin(Self& t) {
    return t.template begin<xt::layout_type::row_major>();
  }
  template <class Self>
  static auto end(Self& t) {
    return t.template end<xt::layout_type::row_major>();
  }
  template <class U>
  static auto like(const T& t) {
    typename detail::XtensorRebind<T, U>::type made;
    if constexpr (requires { made.resize(t.shape()); }) made.resize(t.shape());
    return made;
  }
};

}  // namespace fat::inline FAT_ABI

#endif
