// Metrics of outputs: ties, class offsets, RMSE and SQNR by hand-counted figures.
#include <fat/model/metrics.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_metrics)

BOOST_AUTO_TEST_CASE(arg_max_takes_the_lowest_index_of_equal_values) {
  BOOST_TEST(fat::arg_max(std::vector<float>{1.0F, 3.0F, 3.0F, 2.0F}) == 1U);
  BOOST_TEST(fat::arg_max(std::vector<float>{-2.0F}) == 0U);
  BOOST_CHECK_THROW(fat::arg_max(std::vector<float>{}), fat::error);
}

BOOST_AUTO_TEST_CASE(in_top_breaks_ties_by_index) {
  const std::vector<float> scores{5.0F, 1.0F, 5.0F, 5.0F};
  BOOST_TEST(fat::in_top(scores, 0, 1));
  BOOST_TEST(!fat::in_top(scores, 2, 1));
  BOOST_TEST(fat::in_top(scores, 2, 2));
  BOOST_TEST(!fat::in_top(scores, 3, 2));
  BOOST_TEST(fat::in_top(scores, 1, 4));
  BOOST_TEST(!fat::in_top(scores, 4, 4));
  BOOST_TEST(!fat::in_top(std::vector<float>{std::nanf(""), 1.0F}, 0, 2));
}

BOOST_AUTO_TEST_CASE(score_refuses_what_would_count_as_accurate_or_wrap) {
  const std::vector<float> outputs{0.0F, 1.0F, 2.0F};
  fat::Score score{1};
  BOOST_CHECK_THROW(score.add(std::vector<float>{0.0F, std::nanf(""), 2.0F}, 0U), fat::error);
  BOOST_CHECK_THROW(score.add(std::vector<float>{0.0F, HUGE_VALF, 2.0F}, 0U), fat::error);
  BOOST_CHECK_THROW(score.add(outputs, 2U), fat::error);
  BOOST_CHECK_THROW(score.add(outputs, std::numeric_limits<std::size_t>::max()), fat::error);
  BOOST_CHECK_THROW(score.add(outputs, 0U, std::vector<float>{0.0F, std::nanf(""), 2.0F}), fat::error);
  score.add(outputs, 1U);
  BOOST_TEST(score.metrics().images == 1U);
  BOOST_TEST(score.metrics().top1.value() == 1.0);
}

BOOST_AUTO_TEST_CASE(distance_by_hand) {
  fat::Distance distance;
  BOOST_TEST(distance.rmse() == 0.0);
  distance.add(std::vector<float>{3.0F, 4.0F}, std::vector<float>{3.0F, 3.0F});
  fat::Distance more;
  more.add(std::vector<float>{0.0F, 0.0F}, std::vector<float>{0.0F, 0.0F});
  distance += more;
  BOOST_TEST(distance.rmse() == 0.5);
  BOOST_TEST(distance.sqnr_db() == 13.979400086720375, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(std::isinf(more.sqnr_db()));
  BOOST_CHECK_THROW(more.add(std::vector<float>{1.0F}, std::vector<float>{}), fat::error);
}

BOOST_AUTO_TEST_CASE(score_counts_labels_and_agreement) {
  fat::Score score{1};
  const std::vector<float> background_first{0.0F, 9.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F};
  score.add(background_first, 0U, std::vector<float>{0.0F, 8.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F});
  score.add(background_first, 1U, std::vector<float>{7.0F, 1.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F});
  score.add(background_first, 4U);
  score.add(background_first, std::nullopt);
  const fat::Metrics metrics = score.metrics();
  BOOST_TEST(metrics.images == 4U);
  BOOST_TEST(metrics.top1.value() == 1.0 / 3.0);
  BOOST_TEST(metrics.top5.value() == 2.0 / 3.0);
  BOOST_TEST(metrics.agreement.value() == 0.5);
  BOOST_TEST(metrics.logit_rmse.value() == std::sqrt((1.0 + 49.0 + 64.0) / 14.0));
  const fat::Metrics none = fat::Score{}.metrics();
  BOOST_TEST((!none.top1 && !none.agreement && !none.logit_rmse && !none.sqnr_db));
}

BOOST_AUTO_TEST_SUITE_END()
