// Every way to multiply integer matrices against the specification: ragged shapes, worst cases, block borders, bad input.
#include <fat/core/array.hpp>
#include <fat/core/span_tensor.hpp>
#include <fat/kernel/gemm.hpp>

#include "support/kernels.hpp"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using Sums = fat::array<std::int32_t>;

template <class A, class B>
void compare_all(const fat::array<A>& a, const fat::array<B>& b) {
  Sums expected{fat::Shape{a.shape(0), b.shape(1)}};
  fat::gemm(fat::kernel::reference{}, a, b, expected);
  for (const fat::kernel::Kernels* kernels : fat::test::every_kernel()) {
    Sums got{expected.shape(), -1};
    fat::gemm(*kernels, a, b, got);
    BOOST_TEST((got == expected),
               kernels->name << " differs at " << a.shape(0) << "x" << a.shape(1) << "x" << b.shape(1));
  }
  Sums through_blas{expected.shape(), -1};
  fat::gemm(fat::kernel::blas{}, a, b, through_blas);
  BOOST_TEST((through_blas == expected), "blas differs at " << a.shape(0) << "x" << a.shape(1) << "x" << b.shape(1));
  Sums by_default{expected.shape(), -1};
  fat::gemm(a, b, by_default);
  BOOST_TEST((by_default == expected));
}

template <class Code>
fat::array<Code> random_codes(const fat::Shape& shape, std::mt19937& random) {
  fat::array<Code> codes{shape};
  for (Code& code : codes) code = static_cast<Code>(random());
  return codes;
}

template <class A, class B>
void compare_types(std::mt19937& random) {
  const std::size_t shapes[][3] = {{1, 1, 1},     {37, 1100, 5}, {7, 3, 17},    {13, 64, 48},
                                   {100, 31, 33}, {6, 4, 16},    {49, 160, 96}, {5, 129, 201},
                                   {12, 1025, 9}, {3, 515, 65},  {24, 2, 130},  {1, 1000, 64}};
  for (const auto& s : shapes) {
    compare_all(random_codes<A>({s[0], s[1]}, random), random_codes<B>({s[1], s[2]}, random));
    const A low = std::numeric_limits<A>::min(), high = std::numeric_limits<A>::max();
    compare_all(fat::array<A>{{s[0], s[1]}, std::is_signed_v<A> ? low : high},
                fat::array<B>{{s[1], s[2]}, static_cast<B>(-127)});
    compare_all(fat::array<A>{{s[0], s[1]}, high}, fat::array<B>{{s[1], s[2]}, std::numeric_limits<B>::max()});
  }
}

template <class Call>
void rejects(Call call, const std::string& part) {
  try {
    call();
    BOOST_ERROR("no error; expected one with: " << part);
  } catch (const fat::error& e) {
    BOOST_TEST(std::string{e.what()}.find(part) != std::string::npos, e.what());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(differential_gemm)

BOOST_AUTO_TEST_CASE(every_path_on_ragged_shapes_and_worst_cases) {
  std::mt19937 random{7};
  compare_types<std::int8_t, std::int8_t>(random);
  compare_types<std::uint8_t, std::int8_t>(random);
  compare_types<std::uint8_t, std::uint8_t>(random);
  compare_types<std::int8_t, std::uint8_t>(random);
}

BOOST_AUTO_TEST_CASE(random_shapes) {
  std::mt19937 random{11};
  for (int round = 0; round != 60; ++round) {
    const std::size_t m = 1 + random() % 40, k = 1 + random() % 300, n = 1 + random() % 150;
    compare_all(random_codes<std::uint8_t>({m, k}, random), random_codes<std::int8_t>({k, n}, random));
  }
}

BOOST_AUTO_TEST_CASE(small_weights_take_the_byte_products) {
  std::mt19937 random{13};
  auto b = random_codes<std::int8_t>({96, 48}, random);
  for (auto& code : b) code = static_cast<std::int8_t>(code / 2);
  const fat::kernel::PackedProduct packed{fat::kernel::native_kernels(), {b.data(), 96, 48, 48, 1}};
  BOOST_TEST(packed.byte_share() == 1.0);
  compare_all(fat::array<std::uint8_t>{{20, 96}, 255}, b);
  compare_all(random_codes<std::uint8_t>({20, 96}, random), b);
  // sums of two positive weights of exactly 128 are the most that 255 times them leaves in 16 bits
  fat::array<std::int8_t> edge{{96, 48}};
  for (std::size_t i = 0; i != edge.size(); ++i) edge[i] = static_cast<std::int8_t>(i / 48 % 2 == 0 ? 127 : 1);
  compare_all(fat::array<std::uint8_t>{{20, 96}, 255}, edge);
  for (auto& code : edge) code = static_cast<std::int8_t>(-code);
  compare_all(fat::array<std::uint8_t>{{20, 96}, 255}, edge);
  for (std::size_t i = 0; i != edge.size(); ++i) edge[i] = static_cast<std::int8_t>(i / 48 % 2 == 0 ? -128 : 127);
  compare_all(fat::array<std::uint8_t>{{20, 96}, 255}, edge);
}

BOOST_AUTO_TEST_CASE(weights_that_cannot_be_packed_are_refused) {
  const fat::array<std::int8_t> b{{4, 4}, 1};
  const auto pack = [&](const std::int8_t* data, std::size_t depth, std::size_t columns) {
    const fat::kernel::PackedProduct packed{fat::kernel::native_kernels(), {data, depth, columns, columns, 1}};
  };
  rejects([&] { pack(nullptr, 4, 4); }, "PackedProduct: the weights are empty");
  rejects([&] { pack(b.data(), 0, 4); }, "PackedProduct: the weights are empty");
  rejects([&] { pack(b.data(), 4, 0); }, "PackedProduct: the weights are empty");
  rejects([&] { pack(b.data(), 262141, 4); }, "a depth of 262141 is too large; at most 262140");
}

BOOST_AUTO_TEST_CASE(blas_needs_its_blocks) {
  // 127 * 127 * 1041 passes 2^24; the odd product at the end is lost by a float sum of everything.
  const std::size_t depth = 3001;
  fat::array<std::int8_t> a{{2, depth}, 127}, b{{depth, 3}, 127};
  a[depth - 1] = 1, a[2 * depth - 1] = 1;
  for (std::size_t n = 0; n != 3; ++n) b[(depth - 1) * 3 + n] = 2;
  Sums expected{{2, 3}}, blocked{{2, 3}}, whole{{2, 3}};
  fat::gemm(fat::kernel::reference{}, a, b, expected);
  BOOST_TEST(expected[0] == 127 * 127 * 3000 + 2);
  a[0] = 126, a[depth] = 126;
  fat::gemm(fat::kernel::reference{}, a, b, expected);
  BOOST_TEST(expected[0] % 2 != 0);
  fat::gemm(fat::kernel::blas{}, a, b, blocked);
  BOOST_TEST((blocked == expected));
  fat::gemm(fat::kernel::blas{.depth = depth}, a, b, whole);
  BOOST_TEST((whole != expected), "data too tame: a single sgemm is exact on it");
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused_before_any_work) {
  using fat::Shape;
  fat::array<std::int8_t> a{{2, 3}}, b{{3, 4}}, flat{{6}}, none{{0, 3}};
  Sums c{{2, 4}, 77}, wrong{{4, 2}}, nothing{{0, 4}};
  rejects([&] { fat::gemm(a, a, c); }, "must be equal");
  rejects([&] { fat::gemm(a, b, wrong); }, "needs [2,4]");
  rejects([&] { fat::gemm(flat, b, c); }, "two axes");
  rejects([&] { fat::gemm(none, b, nothing); }, "zero");
  fat::array<std::uint8_t> deep{{1, 70000}};
  fat::array<std::int8_t> tall{{70000, 1}};
  Sums one{{1, 1}};
  rejects([&] { fat::gemm(deep, tall, one); }, "overflow");
  rejects([&] { fat::gemm(fat::span_tensor(reinterpret_cast<std::int8_t*>(c.data()), {2, 3}), b, c); }, "overlaps");
  rejects([&] { fat::gemm(a, b, fat::span_tensor(reinterpret_cast<std::int32_t*>(a.data() + 1), {2, 4})); }, "aligned");
  rejects([&] { fat::gemm(fat::kernel::native{"mmx"}, a, b, c); }, "generic");
  BOOST_TEST(c[0] == 77);
}

BOOST_AUTO_TEST_SUITE_END()
