// Which files a path names, which class each gets, and what is skipped.
#include <fat/io/image_set.hpp>
#include <fat/io/npy.hpp>

#include <sys/stat.h>
#include <filesystem>
#include <fstream>
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
