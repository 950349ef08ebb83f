// Images: JPEG and PNG files to 8-bit RGB, and the resize and crop that networks are usually evaluated with.
#ifndef FAT_IO_IMAGES_HPP_INCLUDED
#define FAT_IO_IMAGES_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/model.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// An 8-bit RGB picture, [height, width, 3] row-major.
struct Image {
  std::size_t height = 0;
  std::size_t width = 0;
  std::vector<std::uint8_t> pixels;
};

/// The largest picture that is decoded, in pixels; checked before memory is taken.
inline constexpr std::size_t largest_image = std::size_t{1} << 27;

/// Decodes a JPEG or PNG file held in memory. Grey is repeated to RGB, CMYK converted, alpha and the low bytes of
/// 16-bit samples dropped, orientation tags ignored. `name` is for messages. Errors: neither format, damaged or
/// truncated data, more than largest_image pixels.
Image decode_image(std::span<const std::uint8_t> file, std::string_view name);

/// Reads and decodes one file. Errors: those of decode_image, a file that cannot be read.
Image read_image(const std::string& path);

/// Bilinear interpolation that averages over the covered pixels when shrinking, in the fixed-point arithmetic of the
/// usual Python pipeline (two passes, horizontal first, each rounded to 8 bits): equal to Pillow's BILINEAR bit for
/// bit.
Image resize_bilinear(const Image& image, std::size_t height, std::size_t width);

/// Scales so that the shorter side becomes `shorter` (the longer one rounded half to even). 0 leaves the image alone.
Image resize_shorter_side(const Image& image, std::size_t shorter);

/// The middle `side` x `side` pixels. 0 leaves the image alone. Errors: an image smaller than that.
Image center_crop(const Image& image, std::size_t side);

/// Named preprocessing: `tf` (x / 127.5 - 1), `torch` (ImageNet mean and deviation), `caffe` (BGR minus mean), `raw`
/// (0..255). All but raw resize to 256 and crop to 224. Errors: another name.
Preprocessing preprocessing_preset(std::string_view name);

/// Luminance in all three channels, (19595 R + 38470 G + 7471 B + 32768) / 65536 rounded down: equal to Pillow's
/// convert("L") bit for bit.
Image grey(Image image);

/// Applies scale, offset and channel order to [height, width, channels] pixels; one channel takes the means of the
/// three channels' scales and offsets. Writes as many floats. Errors: other than 1 or 3 channels.
void preprocess(std::span<const std::uint8_t> pixels, const Preprocessing& how, std::span<float> out,
                std::size_t channels = 3);

}  // namespace fat::inline FAT_ABI

#endif
