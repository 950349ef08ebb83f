// Problems: errors of work that is done anyway, reported at the end.
#ifndef FAT_CLI_PROBLEMS_HPP_INCLUDED
#define FAT_CLI_PROBLEMS_HPP_INCLUDED

#include "printable.hpp"

#include <fat/core/error.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

/// Problems that come after the work: the first one does not keep the rest from being done.
class Problems {
 public:
  template <class Function>
  bool attempt(Function f) {
    try {
      f();
      return true;
    } catch (const fat::error& problem) {
      messages_.emplace_back(problem.what());
      return false;
    }
  }
  /// Errors: the last problem, after a line on stderr for each of the others.
  void report() const {
    if (messages_.empty()) return;
    std::fflush(stdout);
    for (std::size_t i = 0; i + 1 != messages_.size(); ++i)
      std::fprintf(stderr, "fat: %s\n", printable(messages_[i]).c_str());
    fat::fail(std::string_view{messages_.back()});
  }

 private:
  std::vector<std::string> messages_;
};

}  // namespace cli

#endif
