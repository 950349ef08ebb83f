// Arena plans: buffers alive together share no byte, and the orders tried reach the bound where the first one does not.
#include <fat/model/plan.hpp>

#include <cstddef>
#include <random>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

void check_apart(const std::vector<fat::Lifetime>& lifetimes, const fat::ArenaPlan& plan) {
  for (std::size_t a = 0; a != lifetimes.size(); ++a) {
    BOOST_TEST(plan.offset[a] % 16 == 0);
    BOOST_TEST(plan.offset[a] + lifetimes[a].size <= plan.size);
    for (std::size_t b = 0; b != a; ++b) {
      const fat::Lifetime &x = lifetimes[a], &y = lifetimes[b];
      if (x.size == 0 || y.size == 0 || x.last < y.first || y.last < x.first) continue;
      BOOST_TEST((plan.offset[a] + x.size <= plan.offset[b] || plan.offset[b] + y.size <= plan.offset[a]),
                 "buffers " << a << " and " << b << " overlap");
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_plan)

/// The layers of MobileNetV1-0.25 on 96x96 pixels, one after the other: largest first takes 64512 bytes.
BOOST_AUTO_TEST_CASE(orders_reach_the_bound_of_a_chain) {
  std::vector<fat::Lifetime> chain;
  for (const std::size_t size :
       {27648, 18432, 18432, 36864, 9216, 18432, 18432, 18432, 4608, 9216, 9216, 9216, 2304, 4608})
    chain.push_back({size, chain.size(), chain.size() + 1});
  BOOST_TEST(fat::plan_arena(chain).size == 64512U);
  const fat::ArenaPlan plan = fat::plan_small_arena(chain);
  BOOST_TEST(plan.size == fat::busiest_step(chain));
  BOOST_TEST(plan.size == 55296U);
  check_apart(chain, plan);
}

BOOST_AUTO_TEST_CASE(buffers_alive_together_share_nothing) {
  std::mt19937 random{3};
  for (int round = 0; round != 50; ++round) {
    std::vector<fat::Lifetime> lifetimes(random() % 30);
    for (fat::Lifetime& each : lifetimes) {
      each.size = random() % 200, each.first = random() % 20;
      each.last = each.first + random() % 6;
    }
    const fat::ArenaPlan plan = fat::plan_small_arena(lifetimes, 200);
    check_apart(lifetimes, plan);
    BOOST_TEST(plan.size <= fat::plan_arena(lifetimes).size);
    BOOST_TEST(plan.size >= fat::busiest_step(lifetimes));
  }
}

BOOST_AUTO_TEST_SUITE_END()
