// Reference vectors and data that tests read from outside the project, and the skip where they are absent.
#ifndef FAT_TESTS_SUPPORT_GOLDEN_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_GOLDEN_HPP_INCLUDED

#include <fat/io/npz.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

#ifndef FAT_PROJECT_DIR
#define FAT_PROJECT_DIR "."
#endif

namespace fat::test {

inline std::filesystem::path folder_from(const char* variable, const char* beside_project) {
  const char* const value = std::getenv(variable);
  if (value != nullptr && *value != '\0') return value;
  return std::filesystem::path{FAT_PROJECT_DIR} / ".." / "shared" / beside_project;
}

/// Path of a reference-vector file: golden_path("01_symmetric.npz"). The folder is $FAT_GOLDEN_DIR or ../shared/golden.
inline std::filesystem::path golden_path(const std::string& file) {
  return folder_from("FAT_GOLDEN_DIR", "golden") / file;
}

/// Path of a data file: data_path("models/resnet8_cifar10.onnx"). The folder is $FAT_DATA_DIR or ../shared/data.
inline std::filesystem::path data_path(const std::string& file) { return folder_from("FAT_DATA_DIR", "data") / file; }

/// The arrays of a reference-vector file, read once per program: golden("01_symmetric.npz").at("x").as<float>()
inline const NpyArrays& golden(const std::string& file) {
  static std::map<std::string, NpyArrays> cache;
  const auto found = cache.find(file);
  return found != cache.end() ? found->second : cache.emplace(file, read_npz(golden_path(file))).first->second;
}

/// A decorator: the test case is skipped by name, not passed, where the file is absent.
///   BOOST_AUTO_TEST_CASE(codes, *fat::test::needs_golden("01_symmetric.npz"))
inline boost::unit_test::precondition needs_file(const std::filesystem::path& path) {
  return boost::unit_test::precondition{[path](boost::unit_test::test_unit_id) {
    boost::test_tools::assertion_result present{std::filesystem::exists(path)};
    present.message() << path.string() << " is absent";
    return present;
  }};
}
inline boost::unit_test::precondition needs_golden(const std::string& file) { return needs_file(golden_path(file)); }
inline boost::unit_test::precondition needs_data(const std::string& file) { return needs_file(data_path(file)); }

}  // namespace fat::test

#endif
