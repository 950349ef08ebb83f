// Files: read whole with a limit, written to a temporary name and renamed.
#ifndef FAT_IO_FILE_HPP_INCLUDED
#define FAT_IO_FILE_HPP_INCLUDED

#include <fat/core/atomic_file.hpp>
#include <fat/core/error.hpp>
#include <fat/core/stdio_file.hpp>

#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace fat::inline FAT_ABI {

/// The largest file read_file takes unless told otherwise: 4 GiB.
inline constexpr std::uintmax_t largest_file = std::uintmax_t{1} << 32;

namespace detail {
/// Whether every byte reached the file; a full disk shows in any of the three steps.
inline bool write_and_close(std::FILE* file, std::string_view bytes) {
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  written = std::fflush(file) == 0 && written;
  return std::fclose(file) == 0 && written;
}
}  // namespace detail

/// The bytes of a file. Errors: it cannot be read, is a folder, or has more than `limit` bytes (checked before
/// allocating).
inline std::string read_file(const std::filesystem::path& path, std::uintmax_t limit = largest_file) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  expects(std::filesystem::exists(status), path.string(), ": no such file; check the path");
  expects(!std::filesystem::is_directory(status), path.string(), ": is a folder; name a file in it");
  const std::uintmax_t size = std::filesystem::file_size(path, code);
  expects(!code, path.string(), ": cannot be read: ", code.message(), "; name a plain file");
  expects(size <= limit, path.string(), ": has ", size, " bytes, at most ", limit, " are read; use a smaller file");
  const detail::File file{std::fopen(path.c_str(), "rb")};
  expects(file != nullptr, path.string(), ": cannot be opened: ", std::strerror(errno), "; check its permissions");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  expects(std::fread(bytes.data(), 1, bytes.size(), file.get()) == bytes.size(), path.string(),
          ": ends before its size; copy it again");
  return bytes;
}

namespace detail {

/// The file that a chain of links leads to; `device` is set where a link or the file lies in /dev/fd or /proc or is no
/// plain file: such a name stands for something open and is never replaced. Plain files in /dev/shm are files as any
/// other.
inline std::filesystem::path follow_links(std::filesystem::path path, bool& device) {
  const auto names_open_file = [](const std::filesystem::path& at) {
    std::error_code code;
    const std::string whole = std::filesystem::absolute(at, code).lexically_normal().string();
    return whole.starts_with("/dev/fd/") || whole.starts_with("/proc/");
  };
  std::error_code code;
  device = names_open_file(path);
  for (int links = 0;
       links != 40 && !device && std::filesystem::is_symlink(std::filesystem::symlink_status(path, code)); ++links) {
    const std::filesystem::path to = std::filesystem::read_symlink(path, code);
    if (code) break;
    path = to.is_absolute() ? to : path.parent_path() / to;
    device = names_open_file(path);
  }
  expects(device || !std::filesystem::is_symlink(std::filesystem::symlink_status(path, code)), path.string(),
          ": links lead in a circle; name a file");
  const auto status = std::filesystem::status(path, code);
  device = device || (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status));
  return path;
}

/// Errors: `target`, which `path` leads to, is a file that may not be written. Renaming would replace it all the same,
/// and root may write anything, so the permission itself is asked.
inline void expect_not_protected(const std::filesystem::path& path, const std::filesystem::path& target) {
  std::error_code code;
  const auto status = std::filesystem::status(target, code);
  if (!std::filesystem::exists(status)) return;
  const bool allowed = (status.permissions() & std::filesystem::perms::owner_write) != std::filesystem::perms::none;
  expects(allowed && ::access(target.c_str(), W_OK) == 0, path.string(),
          ": is write-protected; allow it with chmod u+w or write to another place");
}

/// Whether `path` leads to what the stream writes to; pipes and devices, too, which filesystem::equivalent does not
/// compare.
inline bool leads_to(const std::filesystem::path& path, std::FILE* stream) {
  struct stat named {
  }, open{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(::fileno(stream), &open) == 0 && named.st_dev == open.st_dev &&
         named.st_ino == open.st_ino;
}

/// Writes to something open without replacing it. What is standard output is written through `stdout`: an opening of
/// its own would have a position of its own, and the program's text and `bytes` would overwrite each other.
inline bool write_to_device(const std::filesystem::path& path, std::string_view bytes) {
  if (leads_to(path, stdout))
    return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0;
  std::FILE* const open = std::fopen(path.c_str(), "ab");
  return open != nullptr && write_and_close(open, bytes);
}

}  // namespace detail

/// Writes `bytes` beside `path` under a temporary name, then renames: `path` holds either what it held or all the
/// bytes. A link stays one, what it leads to is written; a file keeps its permissions. A device, a pipe or an open file
/// (/dev/stdout) is written as it is, never replaced.
/// Errors: the folder is missing or not writable, the file is write-protected, the disk is full; the temporary file is
/// removed.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  std::error_code code;
  expects(!std::filesystem::is_directory(path, code), path.string(), ": is a folder; name a file to write");
  bool device = false;
  const std::filesystem::path target = detail::follow_links(path, device);
  if (device) {
    const bool written = detail::write_to_device(target, bytes);
    return expects(written, path.string(), ": cannot be written: ", std::strerror(errno), "; write to another place");
  }
  detail::expect_not_protected(path, target);
  detail::AtomicFile file{target.string()};
  expects(file.reason() == 0, path.string(), ": cannot be written: ", std::strerror(file.reason()),
          "; check the folder");
  file.write(std::as_bytes(std::span{bytes}));
  if (file.settle()) {
    const auto before = std::filesystem::status(target, code);
    if (std::filesystem::exists(before)) std::filesystem::permissions(file.temporary(), before.permissions(), code);
    if (file.take_place()) return;
  }
  file.discard();
  fail(path.string(), ": cannot be written: ", std::strerror(file.reason()),
       "; free some space or write to another place");
}

}  // namespace fat::inline FAT_ABI

#endif
