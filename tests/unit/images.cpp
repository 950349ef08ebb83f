// Decoding, resizing and cropping of pictures, and what broken files answer.
#include <fat/io/images.hpp>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_images)

namespace {

fat::Image pattern(std::size_t height, std::size_t width) {
  fat::Image image{height, width, {}};
  for (std::size_t y = 0; y != height; ++y)
    for (std::size_t x = 0; x != width; ++x)
      for (std::size_t c = 0; c != 3; ++c)
        image.pixels.push_back(static_cast<std::uint8_t>(x * 7 + y * 13 + c * 61 + (x * y) % 17 * 9));
  return image;
}

std::uint32_t adler32(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const std::uint8_t byte : bytes) {
    a = (a + byte) % 65521U;
    b = (b + a) % 65521U;
  }
  return b << 16 | a;
}

std::string message_of(const std::vector<std::uint8_t>& file) {
  try {
    fat::decode_image(file, "picture");
  } catch (const fat::error& problem) {
    return problem.what();
  }
  return {};
}

}  // namespace

// The checksums are zlib.adler32 of what Pillow makes of the same pattern with resize((width, height), BILINEAR), and
// with convert("L").
BOOST_AUTO_TEST_CASE(resize_equals_pillow_bit_for_bit) {
  const fat::Image image = pattern(37, 53);
  BOOST_TEST(adler32(fat::resize_bilinear(image, 20, 30).pixels) == 0x755372F2U);
  BOOST_TEST(adler32(fat::resize_bilinear(image, 37, 20).pixels) == 0xCF8F404AU);
  BOOST_TEST(adler32(fat::resize_bilinear(image, 64, 53).pixels) == 0x9AB37F5AU);
  BOOST_TEST(adler32(fat::resize_bilinear(image, 90, 100).pixels) == 0x4468BAEFU);
  BOOST_TEST(adler32(fat::resize_bilinear(image, 1, 1).pixels) == 0x2FA017CU);
  BOOST_CHECK_THROW(fat::resize_bilinear(image, 0, 4), fat::error);
}

BOOST_AUTO_TEST_CASE(grey_equals_pillow_bit_for_bit) {
  const fat::Image image = fat::grey(pattern(37, 53));
  std::vector<std::uint8_t> one;
  for (std::size_t i = 0; i != image.pixels.size(); i += 3) one.push_back(image.pixels[i]);
  BOOST_TEST(adler32(one) == 0x2720C06BU);
}

BOOST_AUTO_TEST_CASE(shorter_side_rounds_the_longer_one_half_to_even) {
  const fat::Image image = fat::resize_shorter_side(pattern(40, 65), 20);
  BOOST_TEST(image.height == 20U);
  BOOST_TEST(image.width == 32U);  // 32.5
}

BOOST_AUTO_TEST_CASE(crop_takes_the_middle) {
  const fat::Image image = pattern(9, 6);
  const fat::Image middle = fat::center_crop(image, 4);
  BOOST_TEST(middle.height == 4U);
  BOOST_TEST(int{middle.pixels[0]} == int{image.pixels[(2 * 6 + 1) * 3]});
  BOOST_CHECK_THROW(fat::center_crop(image, 7), fat::error);
}

BOOST_AUTO_TEST_CASE(presets) {
  const std::vector<std::uint8_t> pixel{0, 255, 51};
  float out[3];
  fat::preprocess(pixel, fat::preprocessing_preset("tf"), out);
  BOOST_TEST(out[0] == -1.0F);
  BOOST_TEST(out[1] == 1.0F, boost::test_tools::tolerance(1e-6F));
  fat::preprocess(pixel, fat::preprocessing_preset("torch"), out);
  BOOST_TEST(out[2] == (0.2F - 0.406F) / 0.225F, boost::test_tools::tolerance(1e-5F));
  fat::preprocess(pixel, fat::preprocessing_preset("caffe"), out);
  BOOST_TEST(out[0] == 51.0F - 103.939F, boost::test_tools::tolerance(1e-6F));
  fat::preprocess(pixel, fat::preprocessing_preset("raw"), out);
  BOOST_TEST(out[1] == 255.0F);
  BOOST_CHECK_THROW(fat::preprocessing_preset("vgg"), fat::error);
}

BOOST_AUTO_TEST_CASE(broken_files_are_named) {
  BOOST_TEST(message_of({}) == "picture: the file is empty; replace or remove the file");
  BOOST_TEST(message_of({'G', 'I', 'F', '8'}) == "picture: neither JPEG nor PNG; replace or remove the file");
  BOOST_TEST(message_of({0xFF, 0xD8, 0xFF, 0xE0, 0, 16}).find("picture: broken JPEG: ") == 0U);
  BOOST_TEST(message_of({0x89, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H'}) ==
             "picture: broken PNG: the file ends too early; replace or remove the file");
  BOOST_CHECK_EXCEPTION(fat::read_image("no/such/file.png"), fat::error, [](const fat::error& problem) {
    return std::string_view{problem.what()} == "no/such/file.png: no such file; check the path";
  });
}

// A PNG whose header promises more pixels than are ever decoded is refused before memory is taken.
BOOST_AUTO_TEST_CASE(hostile_sizes_are_refused) {
  const std::vector<std::uint8_t> png{0x89, 'P',  'N',  'G',  13, 10, 26, 10,   0,   0,   0,   13,   'I',  'H',  'D',
                                      'R',  0,    0,    0xF0, 0,  0,  0,  0xF0, 0,   8,   2,   0,    0,    0,    0x59,
                                      0x54, 0xB6, 0xF0, 0,    0,  0,  0,  'I',  'D', 'A', 'T', 0x35, 0xAF, 0x06, 0x1E};
  BOOST_TEST(message_of(png) == "picture: broken PNG: too many pixels; replace or remove the file");
}

BOOST_AUTO_TEST_SUITE_END()
