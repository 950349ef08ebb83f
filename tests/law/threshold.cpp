// The closed forms of threshold gradients against finite differences of the surrogate, over all combinations of policies.
#include <fat/core.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <typeinfo>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_threshold)

namespace {

/// A user's estimator: more passes near the rounding boundaries, nothing outside the range.
struct Steeper {
  using slot = fat::EstimatorSlot;
  template <fat::RealScalar Real>
  constexpr Real operator()(Real value, Real u, Real rounded, Real code) const noexcept {
    const Real distance = u < rounded ? rounded - u : u - rounded;
    return rounded == code ? value * (Real(0.5) + distance) : Real{0};
  }
};
static_assert(fat::GradientEstimator<Steeper>);

template <class... Ts>
struct List {};
template <class Function, class... Ts>
void for_each_type(List<Ts...>, Function f) {
  (f.template operator()<Ts>(), ...);
}

template <class Policies>
struct Chosen;
template <class Q, class... Ps>
struct Chosen<fat::AdjustableThreshold<Q, double, Ps...>> : fat::detail::ThresholdPolicies<Q, Ps...> {
  using quantizer = Q;
};

/// One element: what its code is, and how that code follows u, frozen where the differences are taken.
struct Frozen {
  double x = 0.0, u = 0.0, code = 0.0, slope = 0.0;
};

/// Threshold T as a real function of its factors: roundings keep their residue and clips their side.
template <class T>
class Surrogate {
  using P = Chosen<T>;
  using Q = typename P::quantizer;
  static constexpr double steps = Q::codes.steps;

 public:
  Surrogate(const fat::Interval<double>& range, const std::vector<double>& factors)
      : range_(range), one_(!Q::symmetric && factors.size() == 1) {
    bounds_.left = P::left_limit::limits(bounds_.left);
    start_ = limits(factors);
    if constexpr (!Q::symmetric) {
      const double free = typename Q::rounding{}(-start_.left * start_.scale);
      moves_ = !P::zero_point::clipped || (free >= 0.0 && free <= steps);
      zero_ = P::zero_point::clipped ? std::clamp(free, 0.0, steps) : free;
      if (P::zero_point::shifted) zero_ = 0.0;
    }
  }
  Frozen freeze(double x) const {
    const double low = Q::symmetric ? double(Q::codes.min) : -zero_;
    const double high = Q::symmetric ? double(Q::codes.max) : steps - zero_;
    Frozen at{x, (x - origin(start_)) * start_.scale, 0.0, 0.0};
    const double near = std::clamp(at.u, low - 1.0, high + 1.0);
    const double rounded = typename Q::rounding{}(near);
    at.code = std::clamp(rounded, low, high);
    at.slope = typename P::estimator{}(1.0, near, rounded, at.code);
    return at;
  }
  double value(const Frozen& at, const std::vector<double>& factors) const {
    const Limits now = limits(factors);
    const double moved = (at.x - origin(now)) * now.scale - at.u;
    const bool shifts = !Q::symmetric && !shifted() && moves_;
    const double zero = shifts ? start_.left * start_.scale - now.left * now.scale : 0.0;
    return origin(now) + (at.code + at.slope * (moved + zero) - zero) / now.scale;
  }
  const fat::Limits& limits_of(std::size_t factor) const {
    if (Q::symmetric) return bounds_.threshold;
    return factor == 0 && !one_ ? bounds_.left : bounds_.width;
  }

 private:
  struct Limits {
    double left = 0.0, scale = 0.0;
  };
  static constexpr bool shifted() {
    if constexpr (Q::symmetric)
      return false;
    else
      return P::zero_point::shifted;
  }
  double origin(const Limits& at) const { return shifted() ? at.left : 0.0; }
  Limits limits(const std::vector<double>& factors) const {
    if (Q::symmetric)
      return {0.0,
              steps / (bounds_.threshold.clip(factors[0]) * std::fmax(std::fabs(range_.low), std::fabs(range_.high)))};
    const double extent = one_ ? range_.high : range_.high - range_.low;
    return {one_ ? 0.0 : range_.low + bounds_.left.clip(factors[0]) * extent,
            steps / (bounds_.width.clip(factors.back()) * extent)};
  }

  fat::ThresholdBounds bounds_ = P::bounds::value;
  fat::Interval<double> range_;
  bool one_;
  Limits start_;
  bool moves_ = false;
  double zero_ = 0.0;
};

/// `factors` may lie beyond their bounds; alpha_T first where there is one.
template <class T>
void check(const fat::Interval<double>& range, std::vector<double> factors) {
  constexpr std::size_t count = 300;
  std::mt19937 random{3};
  std::normal_distribution<double> normal;
  fat::array<double> x{fat::Shape{count}}, dy{fat::Shape{count}};
  for (double& v : x) v = 3.0 * normal(random);
  for (double& v : dy) v = normal(random);
  T threshold{fat::Ranges<double>{range}};
  const std::size_t parameters = threshold.parameters().size();
  factors.erase(factors.begin(), factors.end() - static_cast<std::ptrdiff_t>(parameters));
  std::copy(factors.begin(), factors.end(), threshold.parameters().begin());
  threshold.project();
  const bool projects = std::same_as<typename Chosen<T>::projection, fat::Project>;
  for (std::size_t k = 0; k != parameters; ++k)
    if (!projects) BOOST_TEST(threshold.parameters()[k] == factors[k]);
  std::copy(threshold.parameters().begin(), threshold.parameters().end(), factors.begin());

  const Surrogate<T> surrogate{range, factors};
  std::vector<Frozen> frozen;
  for (const double v : x) frozen.push_back(surrogate.freeze(v));
  const auto y = threshold.forward(x);
  const auto gradients = threshold.backward(x, dy);
  double worst = 0.0;
  for (std::size_t i = 0; i != count; ++i) {
    worst = std::fmax(worst, std::fabs(surrogate.value(frozen[i], factors) - y[i]) / 10.0);
    worst = std::fmax(worst, std::fabs(gradients.input[i] - frozen[i].slope * dy[i]));
  }
  const auto loss = [&](std::size_t k, double by) {
    std::vector<double> moved = factors;
    moved[k] += by;
    double sum = 0.0;
    for (std::size_t i = 0; i != count; ++i) sum += dy[i] * surrogate.value(frozen[i], moved);
    return sum;
  };
  for (std::size_t k = 0; k != parameters; ++k) {
    constexpr double h = 1e-6;
    const fat::Limits& bound = surrogate.limits_of(k);
    if (projects) worst = std::fmax(worst, bound.contain(factors[k]) ? 0.0 : 1.0);
    const double up = factors[k] == bound.high ? 0.0 : h;  // from inside, where the factor stands on its bound
    const double down = factors[k] == bound.low ? 0.0 : h;
    const double difference = (loss(k, up) - loss(k, -down)) / (up + down);
    worst = std::fmax(worst, std::fabs(difference - gradients.parameters[k]) / (1.0 + std::fabs(difference)));
  }
  if (worst > 1e-4)
    BOOST_ERROR(typeid(T).name() << " on [" << range.low << ", " << range.high << "] is off by " << worst);
}

template <class Q, class... Policies>
void check_all() {
  using T = fat::AdjustableThreshold<Q, double, Policies...>;
  std::vector<fat::Interval<double>> ranges{{-4.0, 4.0}, {-1.0, 5.0}, {-5.0, 0.5}, {0.5, 6.0}};
  // A left limit of 0 needs a range to the right of it.
  if (!T{fat::Ranges<double>{fat::Interval<double>{-6.0, -1.0}}}.parameters().empty() &&
      !std::same_as<typename Chosen<T>::left_limit, fat::ZeroLeft>)
    ranges.push_back({-6.0, -1.0});
  for (const auto& range : ranges)
    for (const std::vector<double>& factors :
         {std::vector<double>{0.05, 0.8}, {-0.1, 0.9}, {0.3, 0.7}, {0.5, 1.2}, {-0.3, 0.4}, {0.1, 1.4}})
      check<T>(range, factors);
}

using LeftLimits = List<fat::ZeroLeftIfNotNegative, fat::FreeLeft, fat::ZeroLeft, fat::PaperUnsigned>;
using ZeroPoints = List<fat::NudgeZeroPoint, fat::CodeZeroPoint, fat::OffsetZeroPoint>;
using AllBounds = List<fat::PaperBounds, fat::WideBounds>;
using Projections = List<fat::Project, fat::ClipOnly>;
using Estimators = List<fat::StraightThrough, Steeper>;

}  // namespace

BOOST_AUTO_TEST_CASE(asymmetric_thresholds_under_every_policy) {
  using Q = fat::Quantizer<fat::Asymmetric, fat::Unsigned, fat::Bits<4>>;
  for_each_type(LeftLimits{}, []<class L>() {
    for_each_type(ZeroPoints{}, []<class Z>() {
      for_each_type(AllBounds{}, []<class B>() {
        for_each_type(Projections{},
                      []<class P>() { for_each_type(Estimators{}, []<class E>() { check_all<Q, L, Z, B, P, E>(); }); });
      });
    });
  });
}

BOOST_AUTO_TEST_CASE(symmetric_thresholds_under_every_policy) {
  using fat::Quantizer, fat::Symmetric, fat::Bits;
  for_each_type(
      List<Quantizer<Symmetric, fat::Signed, Bits<4>>, Quantizer<Symmetric, fat::Signed, fat::FullRange, Bits<4>>,
           Quantizer<Symmetric, fat::Unsigned, Bits<4>>>{},
      []<class Q>() {
        for_each_type(AllBounds{}, []<class B>() {
          for_each_type(Projections{},
                        []<class P>() { for_each_type(Estimators{}, []<class E>() { check_all<Q, B, P, E>(); }); });
        });
      });
}

BOOST_AUTO_TEST_CASE(every_rounding_scaling_and_width) {
  for_each_type(List<fat::Bits<2>, fat::Bits<8>, fat::Bits<16>>{}, []<class W>() {
    for_each_type(List<fat::HalfToEven, fat::HalfUp, fat::HalfAwayFromZero>{}, []<class R>() {
      for_each_type(List<fat::MultiplyReciprocal, fat::Divide>{}, []<class S>() {
        check_all<fat::Quantizer<fat::Symmetric, fat::Signed, W, R, S>>();
        check_all<fat::Quantizer<fat::Asymmetric, fat::Signed, W, R, S>>();
      });
    });
  });
}

/// A channel that was always 0 has no step: nothing passes it, whatever its upstream gradient.
BOOST_AUTO_TEST_CASE(dead_channels_give_zeros) {
  const auto run = [](auto threshold) {
    const std::vector<float> x{1.0F, -0.5F, 0.0F, 0.25F, 0.0F, 3.0F};
    const std::vector<float> dy{1.0F, 2.0F, 3.0F, -4.0F, 5.0F, 6.0F};
    const auto found = threshold.backward(fat::span_tensor(x.data(), {2, 3}), fat::span_tensor(dy.data(), {2, 3}));
    for (std::size_t i = 0; i != 3; ++i) BOOST_TEST(found.input[i] == 0.0F);
    BOOST_TEST(found.input[4] == 5.0F);
    const std::size_t channels = threshold.channels();
    for (std::size_t k = 0; k < found.parameters.size(); k += channels) BOOST_TEST(found.parameters[k] == 0.0F);
    BOOST_TEST(found.parameters.back() != 0.0F);
    const float silent = 0.0F;
    float slope = 1.0F;
    const auto sums = fat::threshold_backward_run(&silent, &dy[0], &slope, 1, fat::Grid<float>{});
    BOOST_TEST((slope == 0.0F && sums.residue == 0.0 && sums.outside == 0.0));
  };
  const fat::Ranges<float> ranges{{0.0F, 0.0F}, {-1.0F, 2.0F}};
  run(fat::AdjustableThreshold<fat::Quantizer<fat::Symmetric, fat::PerChannel<0>>>{ranges});
  run(fat::AdjustableThreshold<fat::Quantizer<fat::Asymmetric, fat::PerChannel<0>>>{ranges});
  run(fat::AdjustableThreshold<fat::Quantizer<fat::Asymmetric, fat::PerChannel<0>>, float, fat::OffsetZeroPoint>{
      ranges});
}

/// The factors of left limits stand before those of widths, and each kind has limits of its own.
BOOST_AUTO_TEST_CASE(projection_knows_which_factor_is_which) {
  const fat::Ranges<float> ranges{{-1.0F, 1.0F}, {-1.0F, 2.0F}};
  fat::AdjustableThreshold<fat::Quantizer<fat::Asymmetric, fat::PerChannel<0>>, float, fat::WideBounds> t{ranges};
  for (float& p : t.parameters()) p = 9.0F;
  t.project();
  for (std::size_t c = 0; c != 2; ++c) {
    BOOST_TEST(t.parameters()[c] == 0.4F);
    BOOST_TEST(t.parameters()[2 + c] == 1.3F);
  }
  for (float& p : t.parameters()) p = -9.0F;
  t.project();
  for (std::size_t c = 0; c != 2; ++c) {
    BOOST_TEST(t.parameters()[c] == -0.2F);
    BOOST_TEST(t.parameters()[2 + c] == 0.5F);
  }
}

BOOST_AUTO_TEST_SUITE_END()
