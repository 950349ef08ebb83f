// AtomicFile: a file that is written beside another and takes its place once every byte is on the disk.
#ifndef FAT_CORE_ATOMIC_FILE_HPP_INCLUDED
#define FAT_CORE_ATOMIC_FILE_HPP_INCLUDED

#include <fat/core/stdio_file.hpp>

#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <random>
#include <span>
#include <string>
#include <utility>

namespace fat::inline FAT_ABI::detail {

/// Raises nothing: reason() is the errno of the first step that failed, and every later step then does nothing. The
/// name is new each time, so two programs that write one file do not write into each other's bytes. What did not take
/// its place is removed.
class AtomicFile {
 public:
  explicit AtomicFile(std::string target)
      : target_(std::move(target)),
        temporary_(target_ + ".part" + std::to_string(std::random_device{}())),
        file_(std::fopen(temporary_.c_str(), "wbx")) {
    keep(file_ != nullptr);
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { discard(); }

  int reason() const noexcept { return reason_; }
  const std::string& temporary() const noexcept { return temporary_; }

  void write(std::span<const std::byte> bytes) {
    if (reason_ == 0 && !bytes.empty()) keep(std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size());
  }
  /// Brings the bytes to the disk; before that a rename could outlive them. Returns whether all went well so far.
  bool settle() {
    if (reason_ != 0) return false;
    keep(std::fflush(file_.get()) == 0);
    if (reason_ == 0) keep(::fsync(::fileno(file_.get())) == 0 || errno == EINVAL);  // EINVAL: nothing to bring there
    const bool closed = std::fclose(file_.release()) == 0;
    if (reason_ == 0) keep(closed);
    return reason_ == 0;
  }
  /// After settle(): takes the target's place. Returns whether all went well.
  bool take_place() {
    if (reason_ == 0) keep(std::rename(temporary_.c_str(), target_.c_str()) == 0);
    left_ = left_ && reason_ != 0;
    return reason_ == 0;
  }
  void discard() noexcept {
    file_.reset();
    if (std::exchange(left_, false)) std::remove(temporary_.c_str());
  }

 private:
  void keep(bool well) noexcept {
    if (!well) reason_ = errno != 0 ? errno : EIO;
  }

  std::string target_;
  std::string temporary_;
  File file_;
  int reason_ = 0;
  bool left_ = file_ != nullptr;  ///< a temporary file is there
};

}  // namespace fat::inline FAT_ABI::detail

#endif
