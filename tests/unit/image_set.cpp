// Which files a path names, which class each gets, and what is skipped.
#include <fat/io/image_set.hpp>
#include <fat/io/npy.hpp>

#include <sys/stat.h>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_image_set)

namespace {

namespace fs = std::filesystem;

// A folder of its own for one test, removed with everything in it afterwards.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("fat_image_set_" + std::to_string(std::random_device{}()));
  Folder() { fs::create_directories(path / "deep"); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  void text(const char* name, std::string_view content) const { std::ofstream{path / name} << content; }
};

// Three images of 2 x 2 pixels in one file, channels first or last.
void write_tensor(const std::string& path, const fat::Shape& shape, bool as_pixels) {
  fat::array<float> values(shape);
  for (std::size_t i = 0; i != values.size(); ++i) values[i] = static_cast<float>(i);
  if (as_pixels) {
    fat::array<std::uint8_t> pixels(shape);
    for (std::size_t i = 0; i != values.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i);
    fat::write_npy(path, fat::NpyArray{pixels});
  } else {
    fat::write_npy(path, fat::NpyArray{values});
  }
}

const fat::Extent tiny{.height = 2, .width = 2, .channels = 3};

}  // namespace

BOOST_AUTO_TEST_CASE(a_folder_gives_its_images_sorted_and_recursive) {
  const Folder folder;
  for (const char* name : {"b.JPG", "a.png", "deep/c.npy", "notes.txt"}) folder.text(name, "x");
  const auto entries = fat::list_images(folder.path.string());
  BOOST_REQUIRE(entries.size() == 3U);
  BOOST_TEST(entries[0].path == folder / "a.png");
  BOOST_TEST(entries[2].path == folder / "deep/c.npy");
}

BOOST_AUTO_TEST_CASE(a_list_gives_paths_and_classes_and_labels_attach) {
  const Folder folder;
  folder.text("list.txt", "# comment\ndeep/x y.png 7\n\nz.png\n");
  auto entries = fat::list_images(folder / "list.txt");
  BOOST_REQUIRE(entries.size() == 2U);
  BOOST_TEST(entries[0].path == folder / "deep/x y.png");
  BOOST_TEST(entries[0].label.value() == 7U);
  BOOST_TEST(!entries[1].label.has_value());
  folder.text("labels.txt", "z.png 3\nother.png 1\n");
  fat::attach_labels(entries, folder / "labels.txt");
  BOOST_TEST(entries[1].label.value() == 3U);
  folder.text("labels.txt", "z.png\n");
  BOOST_CHECK_THROW(fat::attach_labels(entries, folder / "labels.txt"), fat::error);
  folder.text("labels.txt", "z.png 3\nz.png 4\n");
  BOOST_CHECK_THROW(fat::attach_labels(entries, folder / "labels.txt"), fat::error);
}

BOOST_AUTO_TEST_CASE(nothing_there_is_an_error) {
  const Folder folder;
  BOOST_CHECK_THROW(fat::list_images(folder / "missing"), fat::error);
  BOOST_CHECK_THROW(fat::list_images(folder.path.string()), fat::error);
  folder.text("empty.txt", "\n");
  BOOST_CHECK_THROW(fat::list_images(folder / "empty.txt"), fat::error);
}

BOOST_AUTO_TEST_CASE(a_byte_order_mark_is_skipped_and_a_folder_is_no_list) {
  const Folder folder;
  folder.text("list.txt",
              "\xEF\xBB\xBF"
              "z.png 3\n");
  auto entries = fat::list_images(folder / "list.txt");
  BOOST_REQUIRE(entries.size() == 1U);
  BOOST_TEST(entries[0].path == folder / "z.png");
  BOOST_CHECK_EXCEPTION(fat::attach_labels(entries, folder / "deep"), fat::error, [&](const fat::error& problem) {
    return std::string_view{problem.what()}.starts_with((folder / "deep") + ": is a folder; ");
  });
}

BOOST_AUTO_TEST_CASE(tensors_of_either_layout) {
  const Folder folder;
  fat::Threads threads{2};
  write_tensor(folder / "last.npy", {3, 2, 2, 3}, false);
  write_tensor(folder / "first.npy", {3, 2, 2}, true);
  const fat::ImageSet set{fat::list_images(folder.path.string()), tiny, fat::preprocessing_preset("raw"), threads};
  BOOST_REQUIRE(set.size() == 4U);
  std::vector<float> image(set.image_size());
  set.load(0, image);
  BOOST_TEST(image[1] == 4.0F);  // channel 1 of the first pixel of a channels-first picture
  set.load(2, image);
  BOOST_TEST(image[0] == 12.0F);
  BOOST_TEST(set.name(2) == (folder / "last.npy") + "[1]");
}

// Every layout of images of one channel gives the same tensors.
BOOST_AUTO_TEST_CASE(arrays_of_one_channel_need_no_axis_for_it) {
  const fat::Extent one{.height = 2, .width = 3, .channels = 1};
  fat::Threads threads{1};
  for (const bool as_pixels : {false, true}) {
    const auto values_of = [&](const fat::Shape& shape) {
      const Folder folder;
      write_tensor(folder / "x.npy", shape, as_pixels);
      const fat::ImageSet set{fat::list_images(folder.path.string()), one, fat::preprocessing_preset("tf"), threads};
      std::vector<float> all(set.size() * set.image_size());
      for (std::size_t i = 0; i != set.size(); ++i) set.load(i, std::span{all}.subspan(i * 6, 6));
      return all;
    };
    std::vector<float> many(24);
    for (std::size_t i = 0; i != many.size(); ++i)
      many[i] = as_pixels ? static_cast<float>(i) / 127.5F - 1.0F : static_cast<float>(i);
    const std::vector<float> single(many.begin(), many.begin() + 6);
    for (const fat::Shape& shape : {fat::Shape{4, 2, 3}, {4, 2, 3, 1}, {4, 1, 2, 3}}) {
      const std::vector<float> found = values_of(shape);
      BOOST_REQUIRE(found.size() == many.size());
      for (std::size_t i = 0; i != many.size(); ++i) BOOST_TEST(std::abs(found[i] - many[i]) < 1e-6F);
    }
    for (const fat::Shape& shape : {fat::Shape{2, 3}, {1, 2, 3}, {2, 3, 1}, {1, 1, 2, 3}, {1, 2, 3, 1}}) {
      const std::vector<float> found = values_of(shape);
      BOOST_REQUIRE(found.size() == single.size());
      for (std::size_t i = 0; i != single.size(); ++i) BOOST_TEST(std::abs(found[i] - single[i]) < 1e-6F);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_image_that_is_not_finite_is_skipped_alone) {
  const Folder folder;
  fat::Threads threads{2};
  const auto write = [&](std::initializer_list<std::size_t> bad) {
    fat::array<float> values(fat::Shape{5, 2, 2, 3});
    for (const std::size_t image : bad)
      values[image * 12 + 7] = image % 2 == 0 ? std::nanf("") : std::numeric_limits<float>::infinity();
    fat::write_npy(folder / "batch.npy", fat::NpyArray{values});
  };
  const auto load = [&] {
    return fat::ImageSet{fat::list_images(folder.path.string()), tiny, fat::preprocessing_preset("tf"), threads};
  };
  write({1, 4});
  const fat::ImageSet set = load();
  BOOST_REQUIRE(set.size() == 3U);
  BOOST_TEST(set.name(1) == (folder / "batch.npy") + "[2]");
  BOOST_REQUIRE(set.skipped().size() == 2U);
  BOOST_TEST(set.skipped()[0] == (folder / "batch.npy") + "[1]: holds NaN or infinity; write finite values");
  BOOST_TEST(set.skipped()[1].find("[4]: holds NaN") != std::string::npos);
  write({0, 1, 2, 3, 4});
  BOOST_CHECK_THROW(load(), fat::error);
}

/// Grey and coloured pictures, each as JPEG and PNG: what Pillow's convert("L") makes of them.
BOOST_AUTO_TEST_CASE(networks_of_one_channel_take_pictures_as_luminance) {
  const std::string pictures = std::string{FAT_PROJECT_DIR} + "/tests/fuzz/corpus/images/";
  fat::Threads threads{1};
  for (const char* const name : {"color.jpg", "color.png", "gray.jpg", "gray.png"}) {
    const fat::Image picture = fat::read_image(pictures + name);
    const fat::Extent extent{.height = picture.height, .width = picture.width, .channels = 1};
    const fat::ImageSet set{{{pictures + name, {}}}, extent, fat::preprocessing_preset("raw"), threads};
    std::vector<float> found(set.image_size());
    set.load(0, found);
    for (std::size_t i = 0; i != found.size(); ++i) {
      const std::uint8_t* const p = &picture.pixels[3 * i];
      const int luminance = (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 32768) / 65536;
      BOOST_TEST(found[i] == static_cast<float>(luminance));
      if (std::string_view{name}.starts_with("gray")) BOOST_TEST(luminance == int{p[0]});
    }
  }
  // resized and cropped like others
  fat::Preprocessing how = fat::preprocessing_preset("tf");
  how.resize = 12, how.crop = 10;
  const fat::ImageSet set{{{pictures + "color.png", {}}}, {.height = 10, .width = 10, .channels = 1}, how, threads};
  const fat::Image wanted =
      fat::center_crop(fat::resize_shorter_side(fat::grey(fat::read_image(pictures + "color.png")), 12), 10);
  std::vector<float> found(set.image_size());
  set.load(0, found);
  for (std::size_t i = 0; i != found.size(); ++i)
    BOOST_TEST(std::abs(found[i] - (static_cast<float>(wanted.pixels[3 * i]) / 127.5F - 1.0F)) < 1e-6F);
}

BOOST_AUTO_TEST_CASE(broken_files_are_skipped_by_name) {
  const Folder folder;
  fat::Threads threads{2};
  write_tensor(folder / "good.npy", {2, 2, 3}, true);
  write_tensor(folder / "wrong.npy", {5, 2, 2, 4}, true);
  folder.text("text.png", "not a picture");
  const fat::ImageSet set{fat::list_images(folder.path.string()), tiny, fat::preprocessing_preset("tf"), threads};
  BOOST_TEST(set.size() == 1U);
  BOOST_REQUIRE(set.skipped().size() == 2U);
  BOOST_TEST(set.skipped()[0].find(folder / "text.png") == 0U);
  BOOST_TEST(set.skipped()[1].find("shape [5,2,2,4] does not fit") != std::string::npos);
  fs::remove(folder.path / "good.npy");
  BOOST_CHECK_THROW(
      (fat::ImageSet{fat::list_images(folder.path.string()), tiny, fat::preprocessing_preset("tf"), threads}),
      fat::error);
}

BOOST_AUTO_TEST_CASE(what_has_the_name_of_an_image_and_is_no_file_is_skipped_by_name) {
  const Folder folder;
  fat::Threads threads{2};
  write_tensor(folder / "good.npy", {2, 2, 3}, true);
  fs::create_directory(folder.path / "album.jpg");
  fs::create_symlink("nowhere", folder.path / "dangling.png");
  BOOST_REQUIRE(::mkfifo((folder / "pipe.npy").c_str(), 0600) == 0);
  const fat::ImageSet set{fat::list_images(folder.path.string()), tiny, fat::preprocessing_preset("tf"), threads};
  BOOST_TEST(set.size() == 1U);
  BOOST_REQUIRE(set.skipped().size() == 3U);
  BOOST_TEST(set.skipped()[0] == (folder / "album.jpg") + ": is a folder; name a file in it");
  BOOST_TEST(set.skipped()[1] == (folder / "dangling.png") + ": no such file; check the path");
  BOOST_TEST(set.skipped()[2].find(folder / "pipe.npy") == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
