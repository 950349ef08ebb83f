// File: a C stream that closes itself. Not part of core.hpp; bare-metal targets have no files.
#ifndef FAT_CORE_STDIO_FILE_HPP_INCLUDED
#define FAT_CORE_STDIO_FILE_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstdio>
#include <memory>

namespace fat::inline FAT_ABI::detail {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace fat::inline FAT_ABI::detail

#endif
