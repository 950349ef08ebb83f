// The main function of every Boost.Test program: skipped cases are named and give exit code 77, which ctest reports as
// skipped rather than passed.
#define BOOST_TEST_NO_MAIN
#if defined(FAT_TEST_HEADERS_ONLY)  // where no compiled Boost.Test exists for the processor
#include <boost/test/included/unit_test.hpp>
#else
#include <boost/test/unit_test.hpp>
#endif

#include <boost/test/results_collector.hpp>
#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>

#include <cstdio>
#include <string>

namespace {

int skipped_cases = 0;

/// The unmet precondition of a skipped case or suite in words, asked once more.
std::string reason_of(const boost::unit_test::test_unit& unit) {
  const auto met = unit.check_preconditions();
  const boost::unit_test::const_string message = met.message();
  return {message.begin(), message.end()};
}

/// Names and counts the chosen cases, and the whole suites, whose precondition was not met.
class NameSkipped : public boost::unit_test::test_tree_visitor {
 public:
  void visit(const boost::unit_test::test_case& unit) override { count(unit); }
  bool test_suite_start(const boost::unit_test::test_suite& suite) override { return !count(suite); }

 private:
  static bool count(const boost::unit_test::test_unit& unit) {
    if (!unit.is_enabled() || !boost::unit_test::results_collector.results(unit.p_id).p_skipped) return false;
    std::printf("SKIPPED %s: %s\n", unit.full_name().c_str(), reason_of(unit).c_str());
    ++skipped_cases;
    return true;
  }
};

/// Looks through the results while the tree still exists. (An observer would be asked earlier, but Boost.Test 1.74 can
/// take the start of a test for failed when one is registered.)
struct AfterAllCases {
  void setup() {}
  void teardown() {
    NameSkipped visitor;
    boost::unit_test::traverse_test_tree(boost::unit_test::framework::master_test_suite().p_id, visitor, true);
  }
};
BOOST_TEST_GLOBAL_FIXTURE(AfterAllCases);

void start() { boost::unit_test::framework::master_test_suite().p_name.value = "fat"; }

// The two forms of Boost.Test start with functions of different types.
#if defined(FAT_TEST_HEADERS_ONLY)
boost::unit_test::test_suite* start_tests(int, char**) {
  start();
  return nullptr;
}
#else
bool start_tests() {
  start();
  return true;
}
#endif

}  // namespace

int main(int argc, char** argv) {
  const int status = boost::unit_test::unit_test_main(&start_tests, argc, argv);
  return status == 0 && skipped_cases != 0 ? 77 : status;
}
