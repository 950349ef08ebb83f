// Eigen matrices, arrays, maps, blocks and expressions through every algorithm, whatever their storage order is.
#include <fat/adapt/eigen.hpp>
#include <fat/core.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <type_traits>
#include <vector>

namespace {

using Rows = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed>;
using Columns = fat::Quantizer<fat::Asymmetric, fat::PerChannel<1>, fat::Unsigned>;
using ByColumns = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
using ByRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

static_assert(fat::RealTensor<ByColumns> && fat::RealTensor<ByRows> && fat::MutableTensor<ByColumns&>);
static_assert(!fat::MutableTensor<const ByColumns&>);
static_assert(std::is_same_v<fat::rebind_t<ByColumns, std::int8_t>,
                             Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>);
static_assert(std::is_same_v<fat::rebind_t<Eigen::Array3f, std::int8_t>, Eigen::Array<std::int8_t, 3, 1>>);

/// Two rows, three columns.
const std::vector<float> values{-1.0F, 0.25F, 0.5F, 4.0F, 1.0F, -2.0F};
ByColumns matrix() {
  ByColumns m(2, 3);
  for (Eigen::Index i = 0; i != 6; ++i) m(i / 3, i % 3) = values[static_cast<std::size_t>(i)];
  return m;
}

/// The same codes as the same values in memory that is row-major, and back again bit for bit.
template <class Q, class X>
void check(Q q, const X& x, const std::vector<float>& same, bool contiguous) {
  BOOST_TEST((fat::contiguous_data(x) != nullptr) == contiguous);
  BOOST_TEST((fat::shape_of(x) == fat::Shape{static_cast<std::size_t>(x.rows()), static_cast<std::size_t>(x.cols())}));
  const auto plain = fat::span_tensor(same.data(), fat::shape_of(x));
  const auto params = q.params(fat::observe<fat::MinMax>(q, x));
  BOOST_TEST((params == q.params(fat::observe<fat::MinMax>(q, plain))));
  const auto codes = fat::quantize(q, x, params);
  const auto wanted = fat::quantize(q, plain, params);
  for (Eigen::Index i = 0; i != x.size(); ++i)
    BOOST_TEST(static_cast<int>(codes(i / x.cols(), i % x.cols())) ==
               static_cast<int>(wanted[static_cast<std::size_t>(i)]));
  BOOST_TEST((fat::dequantize(q, codes, params) == fat::fake_quantize(q, x, params)));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_eigen_tensor)

BOOST_AUTO_TEST_CASE(matrices_of_both_storage_orders) {
  check(Rows{}, matrix(), values, false);
  check(Columns{}, matrix(), values, false);
  check(Rows{}, ByRows{matrix()}, values, true);
  check(Columns{}, ByRows{matrix()}, values, true);
  check(fat::Quantizer<>{}, Eigen::VectorXf{matrix().row(0).transpose()}, {values.begin(), values.begin() + 3}, true);
}

BOOST_AUTO_TEST_CASE(maps_blocks_and_expressions) {
  const ByColumns m = matrix();
  check(Rows{}, Eigen::Map<const ByRows>(values.data(), 2, 3), values, false);
  check(Rows{}, m.block(0, 1, 2, 2), {0.25F, 0.5F, 1.0F, -2.0F}, false);
  std::vector<float> doubled;
  for (const float value : values) doubled.push_back(2.0F * value);
  const ByColumns twice = m + m;
  check(Columns{}, twice, doubled, false);
}

BOOST_AUTO_TEST_CASE(column_major_matrices_are_written_in_place) {
  const ByColumns m = matrix();
  const auto params = Rows::params(fat::observe<fat::MinMax>(Rows{}, m));
  Eigen::Matrix<std::int8_t, 2, 3, Eigen::ColMajor> out;
  fat::quantize(Rows{}, m, params, out);
  BOOST_TEST(static_cast<int>(out(0, 0)) == -127);
  BOOST_TEST(static_cast<int>(out(0, 1)) == 32);
  BOOST_TEST(static_cast<int>(out(1, 0)) == 127);
  BOOST_TEST(static_cast<int>(out(1, 2)) == -64);
}

BOOST_AUTO_TEST_SUITE_END()
