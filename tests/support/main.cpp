// The main function of every Boost.Test program: skipped cases are named and give exit code 77, which ctest reports as
// skipped rather than passed.
#define BOOST_TEST_NO_MAIN
#if defined(FAT_TEST_HEADERS_ONLY)  // where no compiled Boost.Test exists for the processor
#include <boost/test/included/unit_test.hpp>
#else
#include <boost/test/unit_test.hpp>
#endif

#include <cstdio>

namespace {

/// Counts the cases whose precondition was not met.
class Skipped : public boost::unit_test::test_observer {
 public:
  void test_unit_skipped(const boost::unit_test::test_unit& unit, boost::unit_test::const_string reason) override {
    if (reason == "disabled") return;  // not chosen by --run_test
    std::printf("SKIPPED %s: %.*s\n", unit.full_name().c_str(), static_cast<int>(reason.size()), reason.begin());
    ++count_;
  }
  bool any() const { return count_ > 0; }

 private:
  int count_ = 0;
};

Skipped& skipped() {
  static Skipped observer;
  return observer;
}

void start() {
  boost::unit_test::framework::master_test_suite().p_name.value = "fat";
  boost::unit_test::framework::register_observer(skipped());
}

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
  return status == 0 && skipped().any() ? 77 : status;
}
