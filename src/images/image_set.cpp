// Listing of image files, reading of labels, and the decoded set.
#include <fat/io/image_set.hpp>
#include <fat/io/npy.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

namespace fat::inline FAT_ABI {
namespace {

namespace fs = std::filesystem;

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool is_image_file(const fs::path& path) {
  const std::string extension = lower_extension(path);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".npy";
}

struct ListLine {
  std::string path;
  std::optional<std::size_t> label;
};

// Lines `path` or `path class`; blank lines and lines that start with # are passed over. A last word that is a number
// is the class.
std::vector<ListLine> read_lines(const std::string& list) {
  std::error_code code;
  expects(!fs::is_directory(list, code), list, ": is a folder; name a list of `path class` lines");
  std::ifstream file{list};
  expects(file.is_open(), list, ": cannot be opened; check the path and its permissions");
  std::vector<ListLine> lines;
  bool first = true;
  for (std::string line; std::getline(file, line); first = false) {
    if (first && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a byte order mark
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    expects(line.find('\0') == std::string::npos, list, ": is not a text file; name a list of `path class` lines");
    ListLine entry;
    const std::size_t blank = line.find_last_of(" \t");
    if (blank != std::string::npos) {
      std::size_t label = 0;
      const auto [end, status] = std::from_chars(line.data() + blank + 1, line.data() + line.size(), label);
      if (status == std::errc{} && end == line.data() + line.size()) {
        entry.label = label;
        line.resize(line.find_last_not_of(" \t", blank) + 1);
      }
    }
    entry.path = (fs::path{list}.parent_path() / line).lexically_normal().string();
    lines.push_back(std::move(entry));
  }
  expects(!file.bad(), list, ": reading failed; check that it is a file and readable");
  return lines;
}

}  // namespace

std::vector<ImageEntry> list_images(const std::string& path) {
  std::error_code status;
  std::vector<ImageEntry> entries;
  if (fs::is_directory(path, status)) {
    for (auto at = fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, status);
         at != fs::recursive_directory_iterator(); at.increment(status)) {
      expects(!status, path, ": cannot be listed: ", std::string_view{status.message()}, "; check its permissions");
      if (is_image_file(at->path()))  // a link to nothing, a pipe or a folder of that name is skipped by name later on
        entries.push_back({at->path().lexically_normal().string(), std::nullopt});
    }
    std::sort(entries.begin(), entries.end(), [](const ImageEntry& a, const ImageEntry& b) { return a.path < b.path; });
    expects(!entries.empty(), path, ": no image in this folder; .jpg, .jpeg, .png and .npy files are read");
    return entries;
  }
  expects(fs::exists(path, status), path,
          ": no such file or folder; name a folder of images, a list file or a .npy file");
  if (is_image_file(path)) return {{path, std::nullopt}};
  for (const ListLine& line : read_lines(path)) entries.push_back({line.path, line.label});
  expects(!entries.empty(), path, ": lists no image; write one `path` or `path class` line per image");
  return entries;
}

void attach_labels(std::vector<ImageEntry>& entries, const std::string& labels) {
  const auto key = [](const std::string& path) { return fs::weakly_canonical(path).string(); };
  std::map<std::string, std::size_t> classes;
  for (const ListLine& line : read_lines(labels)) {
    expects(line.label.has_value(), labels, ": no class behind '", line.path,
            "'; write one `path class` line per image");
    const auto [at, added] = classes.emplace(key(line.path), *line.label);
    expects(added || at->second == *line.label, labels, ": two classes for '", line.path, "'; keep one");
  }
  for (ImageEntry& entry : entries)
    if (const auto found = classes.find(key(entry.path)); found != classes.end()) entry.label = found->second;
}

ImageSet::ImageSet(const std::vector<ImageEntry>& entries, const Extent& extent, const Preprocessing& how,
                   Threads& threads)
    : extent_(extent), how_(how) {
  std::vector<Found> found(entries.size());
  threads.run(entries.size(), [&](std::size_t index, std::size_t) {
    try {
      found[index] = read(entries[index]);
    } catch (const error& problem) {
      found[index].problems.emplace_back(problem.what());
    }
  });
  for (Found& each : found) {
    for (std::string& problem : each.problems) skipped_.push_back(std::move(problem));
    for (Item& item : each.items) items_.push_back(std::move(item));
  }
  if (items_.empty())
    fail(skipped_.empty() ? std::string_view{"ImageSet: no image was given; list at least one"}
                          : std::string_view{skipped_.front()},
         skipped_.size() > 1 ? " (and more: no image could be used)" : "");
}

ImageSet::Found ImageSet::read(const ImageEntry& entry) const {
  if (lower_extension(entry.path) == ".npy") return read_npy_items(entry);
  const bool one = extent_.channels == 1;
  expects(!extent_.vector && (one || extent_.channels == 3), entry.path,
          ": the network's input is neither an RGB nor a grey image; give .npy tensors");
  Image image = read_image(entry.path);
  image = resize_shorter_side(one ? grey(std::move(image)) : image, how_.resize);
  expects(how_.crop == 0 || std::min(image.height, image.width) >= how_.crop, entry.path, ": ", image.height, " x ",
          image.width, " pixels have no middle of ", how_.crop, " x ", how_.crop,
          "; set --resize to at least the crop");
  image = center_crop(image, how_.crop);
  expects(image.height == extent_.height && image.width == extent_.width, entry.path, ": ", image.height, " x ",
          image.width, " pixels after preprocessing, the network takes ", extent_.height, " x ", extent_.width,
          "; set --resize and --crop to match");
  if (one) {  // all three channels are the same
    for (std::size_t pixel = 0; 3 * pixel != image.pixels.size(); ++pixel)
      image.pixels[pixel] = image.pixels[3 * pixel];
    image.pixels.resize(image.pixels.size() / 3);
  }
  Found found;
  found.items.push_back({entry.path, entry.label, std::move(image.pixels), {}});
  return found;
}

ImageSet::Found ImageSet::read_npy_items(const ImageEntry& entry) const {
  const NpyArray file = read_npy(entry.path);
  const Shape& shape = file.shape;
  const Extent& e = extent_;
  const std::size_t per_image = e.size();
  // The layouts of one image; files hold one, or many along an axis before it.
  std::vector<Shape> layouts{e.vector ? Shape{e.channels} : Shape{e.height, e.width, e.channels}};
  if (!e.vector) layouts.push_back({e.channels, e.height, e.width});
  if (!e.vector && e.channels == 1) layouts.push_back({e.height, e.width});
  const auto ends_with = [&](const Shape& layout) {
    const std::size_t before = shape.rank() - layout.rank();
    for (std::size_t axis = 0; axis != layout.rank(); ++axis)
      if (shape[before + axis] != layout[axis]) return false;
    return true;
  };
  const Shape* layout = nullptr;
  bool known_rank = false;
  for (const Shape& each : layouts) {
    const bool rank = shape.rank() == each.rank() || shape.rank() == each.rank() + 1;
    known_rank = known_rank || rank;
    if (layout == nullptr && rank && ends_with(each)) layout = &each;
  }
  expects(known_rank, entry.path, ": shape ", shape, "; one image or a batch of [", e.height, ",", e.width, ",",
          e.channels, "] is needed");
  expects(shape.rank() == 0 || shape[0] != 0, entry.path, ": shape ", shape, " holds no image; give at least one");
  expects(layout != nullptr, entry.path, ": shape ", shape, " does not fit the network's input of ", e.height, " x ",
          e.width, " x ", e.channels, "; resize the tensor");
  const std::size_t count = shape.rank() == layout->rank() ? 1 : shape[0];
  const bool channels_last = layout == layouts.data();
  const array<float> values = file.as<float>();
  const bool pixels = file.type == npy_type<std::uint8_t>() && !e.vector && (e.channels == 3 || e.channels == 1);
  Found found;
  for (std::size_t image = 0; image != count; ++image) {
    std::string name = count == 1 ? entry.path : entry.path + "[" + std::to_string(image) + "]";
    const float* const from = values.data() + image * per_image;
    if (!std::all_of(from, from + per_image, [](float value) { return std::isfinite(value); })) {
      found.problems.push_back(name + ": holds NaN or infinity; write finite values");
      continue;
    }
    Item item{std::move(name), entry.label, {}, std::vector<float>(per_image)};
    const std::size_t area = e.height * e.width;
    for (std::size_t at = 0; at != area; ++at)
      for (std::size_t c = 0; c != e.channels; ++c)
        item.values[at * e.channels + c] = channels_last ? from[at * e.channels + c] : from[c * area + at];
    if (pixels) {
      item.pixels.assign(item.values.begin(), item.values.end());
      item.values.clear();
    }
    found.items.push_back(std::move(item));
  }
  return found;
}

void ImageSet::load(std::size_t index, std::span<float> out) const {
  const Item& item = items_[index];
  expects(out.size() == image_size(), "ImageSet: room for ", out.size(), " floats of an image of ", image_size());
  if (item.pixels.empty())
    std::copy(item.values.begin(), item.values.end(), out.begin());
  else
    preprocess(item.pixels, how_, out, extent_.channels);
}

}  // namespace fat::inline FAT_ABI
