// Programs that tests run: whether they are here, and a run whose output is kept.
#ifndef FAT_TESTS_SUPPORT_PROGRAM_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_PROGRAM_HPP_INCLUDED

#include <fat/io/file.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace fat::test {

inline bool has_program(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

/// A decorator: the test case is skipped by name where the program is absent.
inline boost::unit_test::precondition needs_program(const std::string& name) {
  return boost::unit_test::precondition{[name](boost::unit_test::test_unit_id) {
    boost::test_tools::assertion_result present{has_program(name)};
    present.message() << "the program " << name << " is absent";
    return present;
  }};
}

struct ProgramRun {
  int status = -1;     ///< exit code; -1 where the program was ended by a signal
  std::string output;  ///< of both streams
};

/// Runs a command of the shell with `folder` as its own.
inline ProgramRun run_program(const std::filesystem::path& folder, const std::string& command) {
  const std::filesystem::path log = folder / "output.log";
  const int status = std::system(("cd '" + folder.string() + "' && (" + command + ") >output.log 2>&1").c_str());
  return {status != -1 && (status & 0x7F) == 0 ? status >> 8 & 0xFF : -1, read_file(log)};
}

}  // namespace fat::test

#endif
