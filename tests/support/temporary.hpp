// A folder that lives as long as a test.
#ifndef FAT_TESTS_SUPPORT_TEMPORARY_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_TEMPORARY_HPP_INCLUDED

#include <filesystem>
#include <random>
#include <string>

namespace fat::test {

/// Made with a fresh name, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() / ("fat_test_" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directory(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace fat::test

#endif
