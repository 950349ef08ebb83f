// Resizing, cropping and the arithmetic from pixels to network inputs.
#include <fat/io/images.hpp>

#include <algorithm>
#include <cmath>

namespace fat::inline FAT_ABI {
namespace {

// For every output position the first input position and the fixed-point weights of those that follow it.
struct Taps {
  static constexpr int fraction_bits = 22;
  std::vector<std::size_t> first;
  std::vector<std::size_t> count;
  std::vector<std::int32_t> weights;
  std::size_t width = 0;
};

Taps triangle_taps(std::size_t in, std::size_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double reach = std::max(scale, 1.0);
  Taps taps;
  taps.width = static_cast<std::size_t>(std::ceil(reach)) * 2 + 1;
  taps.first.resize(out);
  taps.count.resize(out);
  taps.weights.resize(out * taps.width);
  std::vector<double> exact(taps.width);
  for (std::size_t x = 0; x != out; ++x) {
    const double center = (static_cast<double>(x) + 0.5) * scale;
    const auto first = static_cast<std::size_t>(std::max(center - reach + 0.5, 0.0));
    const auto last = std::min(static_cast<std::size_t>(center + reach + 0.5), in);
    double sum = 0.0;
    for (std::size_t k = first; k != last; ++k) {
      const double distance = std::abs((static_cast<double>(k) - center + 0.5) * (1.0 / reach));
      exact[k - first] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += exact[k - first];
    }
    taps.first[x] = first;
    taps.count[x] = last - first;
    for (std::size_t k = 0; k != last - first; ++k) {
      const double weight = sum != 0.0 ? exact[k] * (1.0 / sum) : exact[k];
      taps.weights[x * taps.width + k] = static_cast<std::int32_t>(0.5 + weight * (1 << Taps::fraction_bits));
    }
  }
  return taps;
}

std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> Taps::fraction_bits, 0, 255));
}

constexpr std::int32_t half = 1 << (Taps::fraction_bits - 1);

Image resize_width(const Image& image, std::size_t width) {
  const Taps taps = triangle_taps(image.width, width);
  Image result{image.height, width, std::vector<std::uint8_t>(image.height * width * 3)};
  for (std::size_t y = 0; y != image.height; ++y)
    for (std::size_t x = 0; x != width; ++x) {
      const std::uint8_t* from = image.pixels.data() + (y * image.width + taps.first[x]) * 3;
      const std::int32_t* weight = taps.weights.data() + x * taps.width;
      std::int32_t sum[3] = {half, half, half};
      for (std::size_t k = 0; k != taps.count[x]; ++k)
        for (std::size_t c = 0; c != 3; ++c) sum[c] += from[3 * k + c] * weight[k];
      for (std::size_t c = 0; c != 3; ++c) result.pixels[(y * width + x) * 3 + c] = to_pixel(sum[c]);
    }
  return result;
}

Image resize_height(const Image& image, std::size_t height) {
  const Taps taps = triangle_taps(image.height, height);
  const std::size_t row = image.width * 3;
  Image result{height, image.width, std::vector<std::uint8_t>(height * row)};
  std::vector<std::int32_t> sums(row);
  for (std::size_t y = 0; y != height; ++y) {
    std::fill(sums.begin(), sums.end(), half);
    for (std::size_t k = 0; k != taps.count[y]; ++k) {
      const std::uint8_t* from = image.pixels.data() + (taps.first[y] + k) * row;
      const std::int32_t weight = taps.weights[y * taps.width + k];
      for (std::size_t x = 0; x != row; ++x) sums[x] += from[x] * weight;
    }
    for (std::size_t x = 0; x != row; ++x) result.pixels[y * row + x] = to_pixel(sums[x]);
  }
  return result;
}

}  // namespace

Image resize_bilinear(const Image& image, std::size_t height, std::size_t width) {
  expects(height != 0 && width != 0 && height <= largest_image / width, "resize_bilinear: cannot resize to ", height,
          " x ", width, "; ask for a size between 1 and ", largest_image, " pixels");
  Image result = width == image.width ? image : resize_width(image, width);
  return height == image.height ? result : resize_height(result, height);
}

Image resize_shorter_side(const Image& image, std::size_t shorter) {
  if (shorter == 0 || std::min(image.height, image.width) == shorter) return image;
  const double scale = static_cast<double>(shorter) / static_cast<double>(std::min(image.height, image.width));
  const auto scaled = [&](std::size_t side) {
    return std::max(shorter, static_cast<std::size_t>(std::nearbyint(static_cast<double>(side) * scale)));
  };
  return resize_bilinear(image, scaled(image.height), scaled(image.width));
}

Image center_crop(const Image& image, std::size_t side) {
  if (side == 0) return image;
  expects(image.height >= side && image.width >= side, "center_crop: an image of ", image.height, " x ", image.width,
          " has no ", side, " x ", side, " middle; resize to at least the crop");
  const std::size_t top = (image.height - side) / 2;
  const std::size_t left = (image.width - side) / 2;
  Image result{side, side, {}};
  result.pixels.reserve(side * side * 3);
  for (std::size_t y = 0; y != side; ++y) {
    const auto row = image.pixels.begin() + static_cast<std::ptrdiff_t>(((top + y) * image.width + left) * 3);
    result.pixels.insert(result.pixels.end(), row, row + static_cast<std::ptrdiff_t>(side * 3));
  }
  return result;
}

Preprocessing preprocessing_preset(std::string_view name) {
  if (name == "tf") return {};
  if (name == "torch")
    return {.scale = {1.0F / (255.0F * 0.229F), 1.0F / (255.0F * 0.224F), 1.0F / (255.0F * 0.225F)},
            .offset = {-0.485F / 0.229F, -0.456F / 0.224F, -0.406F / 0.225F}};
  if (name == "caffe") return {.scale = {1.0F, 1.0F, 1.0F}, .offset = {-103.939F, -116.779F, -123.68F}, .bgr = true};
  if (name == "raw") return {.scale = {1.0F, 1.0F, 1.0F}, .offset = {0.0F, 0.0F, 0.0F}, .resize = 0, .crop = 0};
  fail("preprocessing '", name, "' is unknown; use tf, torch, caffe or raw");
}

Image grey(Image image) {
  for (std::size_t at = 0; at != image.pixels.size(); at += 3) {
    std::uint8_t* const pixel = &image.pixels[at];
    const std::uint32_t sum = 19595U * pixel[0] + 38470U * pixel[1] + 7471U * pixel[2] + 32768U;
    pixel[0] = pixel[1] = pixel[2] = static_cast<std::uint8_t>(sum >> 16U);
  }
  return image;
}

void preprocess(std::span<const std::uint8_t> pixels, const Preprocessing& how, std::span<float> out,
                std::size_t channels) {
  expects((channels == 1 || channels == 3) && out.size() == pixels.size() && pixels.size() % channels == 0,
          "preprocess: room for ", out.size(), " values of ", pixels.size(), " bytes in ", channels,
          " channels; 1 or 3 are possible");
  if (channels == 1) {
    const auto mean = [](const float* three) {
      return static_cast<float>(
          (static_cast<double>(three[0]) + static_cast<double>(three[1]) + static_cast<double>(three[2])) / 3.0);
    };
    const float scale = mean(how.scale), offset = mean(how.offset);
    for (std::size_t at = 0; at != out.size(); ++at) out[at] = static_cast<float>(pixels[at]) * scale + offset;
    return;
  }
  for (std::size_t pixel = 0; pixel != out.size(); pixel += 3)
    for (std::size_t c = 0; c != 3; ++c)
      out[pixel + c] = static_cast<float>(pixels[pixel + (how.bgr ? 2 - c : c)]) * how.scale[c] + how.offset[c];
}

}  // namespace fat::inline FAT_ABI
