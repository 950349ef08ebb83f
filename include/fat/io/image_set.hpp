// ImageSet: the pictures of a folder, a list file or a .npy file, decoded once and kept as network-sized pixels.
#ifndef FAT_IO_IMAGE_SET_HPP_INCLUDED
#define FAT_IO_IMAGE_SET_HPP_INCLUDED

#include <fat/io/images.hpp>
#include <fat/kernel/threads.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

/// One picture to read: a JPEG, PNG or .npy file, and its class where it is known.
struct ImageEntry {
  std::string path;
  std::optional<std::size_t> label;
};

/// What `path` names: every JPEG, PNG and .npy file of a folder (recursive, sorted by path, other kinds passed over),
/// the files of a list (`path` or `path class` lines), or the one file itself. Errors: nothing there; a folder without
/// images.
std::vector<ImageEntry> list_images(const std::string& path);

/// Gives each entry the class that a file of `path class` lines states for it; paths are relative to that file's own
/// folder. Entries that it does not mention keep what they have. Errors: an unreadable file, a line without a class,
/// two classes for one file.
void attach_labels(std::vector<ImageEntry>& entries, const std::string& labels);

/// Decoded images of one size; 8-bit pixels are kept (a byte for each channel) and become floats when loaded. Networks
/// of one channel get the luminance of pictures. .npy files hold one tensor [height, width, channels] or [channels,
/// height, width], for one channel also [height, width], or many of them along a first axis; 8-bit values of one or
/// three channels are pixels, floats are network inputs as they are.
class ImageSet {
 public:
  /// Decodes `entries` for a network input of `extent`, in parallel. Files that cannot be used are left out, each with
  /// a line in skipped(), and so are images with NaN or infinity of a .npy file. Errors: no usable image at all; an
  /// input that is not [height, width, 1 or 3] for picture files.
  ImageSet(const std::vector<ImageEntry>& entries, const Extent& extent, const Preprocessing& how, Threads& threads);

  std::size_t size() const noexcept { return items_.size(); }
  /// Floats of one image: height * width * channels of the input extent.
  std::size_t image_size() const noexcept { return extent_.size(); }
  /// Writes image `index` as preprocessed NHWC floats. Safe to call from several threads.
  void load(std::size_t index, std::span<float> out) const;
  const std::string& name(std::size_t index) const { return items_[index].name; }
  std::optional<std::size_t> label(std::size_t index) const { return items_[index].label; }
  /// One message for every file or image that was left out.
  const std::vector<std::string>& skipped() const noexcept { return skipped_; }

 private:
  struct Item {
    std::string name;
    std::optional<std::size_t> label;
    std::vector<std::uint8_t> pixels;
    std::vector<float> values;
  };
  /// What was read of one file, and what not.
  struct Found {
    std::vector<Item> items;
    std::vector<std::string> problems;
  };
  Found read(const ImageEntry& entry) const;
  Found read_npy_items(const ImageEntry& entry) const;

  Extent extent_;
  Preprocessing how_;
  std::vector<Item> items_;
  std::vector<std::string> skipped_;
};

}  // namespace fat::inline FAT_ABI

#endif
