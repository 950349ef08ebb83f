// Decoding of JPEG (libjpeg) and PNG (libpng) files that are held in memory.
#include <fat/io/file.hpp>
#include <fat/io/images.hpp>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>

#include <jpeglib.h>

#include <jerror.h>
#include <png.h>

namespace fat::inline FAT_ABI {
namespace {

// Both libraries report errors by longjmp, so the functions that call setjmp own no object with a destructor.

struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave_jpeg(j_common_ptr state) {
  auto* errors = reinterpret_cast<JpegErrors*>(state->err);
  errors->base.format_message(state, errors->text);
  std::longjmp(errors->jump, 1);
}

// Data that end too early are only a warning to libjpeg, which then paints grey; here they are an error.
void heed_jpeg_message(j_common_ptr state, int level) {
  if (level < 0 && (state->err->msg_code == JWRN_JPEG_EOF || state->err->msg_code == JWRN_HIT_MARKER))
    leave_jpeg(state);
}

void cmyk_row_to_rgb(const JSAMPLE* from, std::uint8_t* to, std::size_t width, bool inverted) {
  for (std::size_t x = 0; x != width; ++x)
    for (std::size_t c = 0; c != 3; ++c) {
      const unsigned ink = inverted ? from[4 * x + c] : 255U - from[4 * x + c];
      const unsigned key = inverted ? from[4 * x + 3] : 255U - from[4 * x + 3];
      to[3 * x + c] = static_cast<std::uint8_t>((ink * key + 127U) / 255U);
    }
}

// Returns false with errors.text set. Memory for the pixels is taken by `image` before any row is decoded.
bool decode_jpeg(std::span<const std::uint8_t> file, Image& image, std::vector<JSAMPLE>& row, JpegErrors& errors) {
  jpeg_decompress_struct state;
  std::memset(&state, 0, sizeof state);
  state.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave_jpeg;
  errors.base.emit_message = heed_jpeg_message;
  if (setjmp(errors.jump) != 0) {
    jpeg_destroy_decompress(&state);
    return false;
  }
  jpeg_create_decompress(&state);
  jpeg_mem_src(&state, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&state, TRUE);
  if (static_cast<std::size_t>(state.image_width) * state.image_height > largest_image) {
    std::snprintf(errors.text, sizeof errors.text, "%u x %u pixels are too many", state.image_width,
                  state.image_height);
    jpeg_destroy_decompress(&state);
    return false;
  }
  const bool cmyk = state.num_components == 4;
  state.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&state);
  image.height = state.output_height;
  image.width = state.output_width;
  image.pixels.resize(image.height * image.width * 3);
  if (cmyk) row.resize(image.width * 4);
  while (state.output_scanline < state.output_height) {
    std::uint8_t* line = image.pixels.data() + std::size_t{state.output_scanline} * image.width * 3;
    JSAMPROW target = cmyk ? row.data() : line;
    jpeg_read_scanlines(&state, &target, 1);
    if (cmyk) cmyk_row_to_rgb(row.data(), line, image.width, state.saw_Adobe_marker != 0);
  }
  jpeg_finish_decompress(&state);
  jpeg_destroy_decompress(&state);
  return true;
}

struct PngInput {
  std::span<const std::uint8_t> file;
  std::size_t at = 0;
  char text[160] = "damaged";
};

void read_png_bytes(png_structp png, png_bytep to, png_size_t count) {
  auto* input = static_cast<PngInput*>(png_get_io_ptr(png));
  if (count > input->file.size() - input->at) png_error(png, "the file ends too early");
  std::memcpy(to, input->file.data() + input->at, count);
  input->at += count;
}

[[noreturn]] void leave_png(png_structp png, png_const_charp text) {
  auto* input = static_cast<PngInput*>(png_get_error_ptr(png));
  std::snprintf(input->text, sizeof input->text, "%s", text);
  png_longjmp(png, 1);
}

bool decode_png(PngInput& input, Image& image) {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, leave_png, [](png_structp, png_const_charp) {});
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    return false;
  }
  if (setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, &input, read_png_bytes);
  png_read_info(png, info);
  if (std::size_t{png_get_image_width(png, info)} * png_get_image_height(png, info) > largest_image)
    png_error(png, "too many pixels");
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  image.height = png_get_image_height(png, info);
  image.width = png_get_image_width(png, info);
  if (png_get_rowbytes(png, info) != image.width * 3) png_error(png, "an unknown pixel format");
  image.pixels.resize(image.height * image.width * 3);
  for (int pass = 0; pass != passes; ++pass)
    for (std::size_t y = 0; y != image.height; ++y)
      png_read_row(png, image.pixels.data() + y * image.width * 3, nullptr);
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

}  // namespace

Image decode_image(std::span<const std::uint8_t> file, std::string_view name) {
  Image image;
  if (file.size() >= 3 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF) {
    auto errors = std::make_unique<JpegErrors>();
    std::vector<JSAMPLE> row;
    const bool decoded = decode_jpeg(file, image, row, *errors);
    expects(decoded, name, ": broken JPEG: ", std::string_view{errors->text}, "; replace or remove the file");
  } else if (file.size() >= 8 && png_sig_cmp(file.data(), 0, 8) == 0) {
    PngInput input{.file = file};
    const bool decoded = decode_png(input, image);
    expects(decoded, name, ": broken PNG: ", std::string_view{input.text}, "; replace or remove the file");
  } else {
    fail(name, file.empty() ? ": the file is empty" : ": neither JPEG nor PNG", "; replace or remove the file");
  }
  expects(image.height != 0 && image.width != 0, name, ": the image has no pixels; replace or remove the file");
  return image;
}

Image read_image(const std::string& path) {
  const std::string bytes = read_file(path);
  return decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, path);
}

}  // namespace fat::inline FAT_ABI
