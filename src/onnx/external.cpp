// Data of tensors in other files: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
#include "external.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

namespace fat::inline FAT_ABI::onnx {

namespace {

using ::onnx::TensorProto;

/// Bytes of an element; 0 for types that cannot be read.
std::uint64_t element_bytes(std::int32_t type) {
  switch (type) {
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
      return 8;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
      return 4;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 2;
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return 1;
    default:
      return 0;
  }
}

/// An open file descriptor, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int get() const noexcept { return number_; }

 private:
  int number_;
};

class ExternalData {
 public:
  explicit ExternalData(const std::string& path) : path_(path) {
    folder_ = std::filesystem::path{path}.parent_path();
    if (folder_.empty()) folder_ = ".";
  }

  void read(TensorProto& tensor) {
    if (tensor.data_location() != TensorProto::EXTERNAL) return;
    const std::string where = path_ + ": tensor '" + tensor.name() + "'";
    std::string location;
    std::uint64_t offset = 0, length = 0;
    bool has_length = false;
    for (const auto& entry : tensor.external_data()) {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset") offset = number(entry.value(), where, "offset");
      if (entry.key() == "length") length = number(entry.value(), where, "length"), has_length = true;
    }
    const File& file = open(location, where);
    const std::uint64_t width = element_bytes(tensor.data_type());
    expects(width != 0, where, " has elements of type ", tensor.data_type(),
            ", which is not supported; convert the model to float");
    const std::uint64_t needed =
        static_cast<std::uint64_t>(count({tensor.dims().begin(), tensor.dims().end()}, where)) * width;
    expects(!has_length || length == needed, where, " needs ", needed, " bytes, its length in '",
            std::string_view{location}, "' is ", length, "; the file is damaged");
    expects(offset <= file.size && needed <= file.size - offset, where, " needs ", needed, " bytes from byte ", offset,
            " of '", std::string_view{location}, "' on, which has ", file.size, "; copy both files again");
    total_ += needed;
    expects(total_ / 4 <= available_, where, ": tensors ask for ", total_, " bytes of files of ", available_,
            "; the file is damaged");
    std::string bytes(static_cast<std::size_t>(needed), '\0');
    for (std::size_t at = 0; at != bytes.size();) {
      const ssize_t got =
          pread(file.descriptor.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(offset + at));
      expects(got > 0 || (got < 0 && errno == EINTR), where, ": '", std::string_view{location},
              "' cannot be read: ", got < 0 ? std::strerror(errno) : "it ends before its size", "; copy it again");
      if (got > 0) at += static_cast<std::size_t>(got);
    }
    tensor.set_raw_data(std::move(bytes));
    tensor.set_data_location(TensorProto::DEFAULT);
    tensor.clear_external_data();
  }

 private:
  struct File {
    Descriptor descriptor;
    std::uint64_t size;
  };

  static std::uint64_t number(const std::string& text, std::string_view where, std::string_view what) {
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    expects(problem == std::errc{} && end == text.data() + text.size() && value <= (std::uint64_t{1} << 62), where,
            " has the ", what, " '", std::string_view{text}, "' in another file; the file is damaged");
    return value;
  }

  /// Opened folder by folder, so that no link leads out.
  const File& open(const std::string& location, const std::string& where) {
    if (const auto found = files_.find(location); found != files_.end()) return found->second;
    const std::filesystem::path relative{location};
    bool inside = !location.empty() && relative.is_relative() && relative.has_filename() &&
                  location.find('\0') == std::string::npos;
    for (const auto& part : relative) inside = inside && part != "..";
    expects(inside, where, " keeps its data in '", std::string_view{location},
            "', which is no file in the model's folder; save the model again with its data beside it");
    Descriptor at{::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    for (const auto& part : relative) {
      if (part == ".") continue;
      at = Descriptor{openat(at.get(), part.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
      const int problem = errno;
      if (at.get() >= 0) continue;
      expects(problem != ENOENT, where, " keeps its data in '", std::string_view{location},
              "', which is missing; copy it beside the model");
      expects(problem != ELOOP && problem != ENOTDIR, where, " keeps its data in '", std::string_view{location},
              "', which is a link or lies behind one; copy the file itself beside the model");
      fail(where, ": '", std::string_view{location}, "' cannot be opened: ", std::strerror(problem),
           "; check its permissions");
    }
    struct stat status {};
    expects(fstat(at.get(), &status) == 0 && S_ISREG(status.st_mode), where, " keeps its data in '",
            std::string_view{location}, "', which is no plain file; copy it beside the model");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    available_ += size;
    return files_.emplace(location, File{std::move(at), size}).first->second;
  }

  std::string path_;
  std::filesystem::path folder_;
  std::map<std::string, File> files_;
  std::uint64_t total_ = 0, available_ = 0;
};

}  // namespace

void read_external_data(::onnx::ModelProto& model, const std::string& path) {
  ExternalData data{path};
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) data.read(tensor);
  for (auto& node : *model.mutable_graph()->mutable_node())
    for (auto& attribute : *node.mutable_attribute())
      if (attribute.has_t()) data.read(*attribute.mutable_t());
}

}  // namespace fat::inline FAT_ABI::onnx
