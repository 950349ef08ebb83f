// Named arrays in numpy's .npz format: a zip archive of .npy members. Needs zlib.
#ifndef FAT_IO_NPZ_HPP_INCLUDED
#define FAT_IO_NPZ_HPP_INCLUDED

#include <fat/io/npy.hpp>

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace fat::inline FAT_ABI {

namespace detail {

struct ZipEntry {
  std::string_view name;
  std::size_t method = 0;
  std::size_t checksum = 0;
  std::size_t packed = 0;
  std::size_t size = 0;
  std::size_t offset = 0;
};

inline std::size_t zip_checksum(std::string_view bytes) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

/// Sizes that do not fit 32 bits stand in the extra field, those that do not in this order.
inline void zip64_sizes(std::string_view extra, ZipEntry& entry, std::string_view path) {
  while (extra.size() >= 4) {
    const std::size_t id = little_endian(extra, 0, 2);
    const std::size_t length = little_endian(extra, 2, 2);
    expects(length <= extra.size() - 4, path, ": damaged archive directory; write or copy the file again");
    std::string_view field = extra.substr(4, length);
    extra.remove_prefix(4 + length);
    if (id != 1) continue;
    for (std::size_t* value : {&entry.size, &entry.packed, &entry.offset}) {
      if (*value != 0xFFFFFFFFU) continue;
      expects(field.size() >= 8, path, ": damaged archive directory; write or copy the file again");
      *value = little_endian(field, 0, 8);
      field.remove_prefix(8);
    }
  }
}

/// Reads the central directory entry at the front of `directory` and removes it.
inline ZipEntry take_zip_entry(std::string_view& directory, std::string_view path) {
  expects(directory.size() >= 46 && directory.substr(0, 4) == "PK\x01\x02", path,
          ": damaged archive directory; write or copy the file again");
  const std::size_t name = little_endian(directory, 28, 2);
  const std::size_t extra = little_endian(directory, 30, 2);
  const std::size_t comment = little_endian(directory, 32, 2);
  expects(name + extra + comment <= directory.size() - 46, path,
          ": damaged archive directory; write or copy the file again");
  expects(little_endian(directory, 8, 2) % 2 == 0, path, ": the archive is encrypted");
  ZipEntry entry{directory.substr(46, name),      little_endian(directory, 10, 2), little_endian(directory, 16, 4),
                 little_endian(directory, 20, 4), little_endian(directory, 24, 4), little_endian(directory, 42, 4)};
  zip64_sizes(directory.substr(46 + name, extra), entry, path);
  directory.remove_prefix(46 + name + extra + comment);
  return entry;
}

inline std::string inflate(std::string_view packed, std::size_t size, std::string_view name) {
  // Deflate packs at most 1032 : 1, so the allocation is bounded by the bytes at hand.
  expects(size / 1032 <= packed.size(), name, ": declares ", size, " bytes in ", packed.size(), " packed ones");
  constexpr std::size_t most = std::numeric_limits<uInt>::max();
  expects(packed.size() <= most && size <= most, name, ": packed members are at most 4 GiB");
  std::string bytes(size, '\0');
  z_stream stream{};
  expects(inflateInit2(&stream, -MAX_WBITS) == Z_OK, name, ": zlib does not start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(size);
  const int code = ::inflate(&stream, Z_FINISH);
  const bool whole = code == Z_STREAM_END && stream.total_out == size;
  inflateEnd(&stream);
  expects(whole, name, ": damaged packed data; write or copy the file again");
  return bytes;
}

/// The central directory of the archive.
inline std::string_view zip_directory(std::string_view bytes, std::string_view path) {
  expects(bytes.size() >= 22, path, ": not an .npz file; write it again");
  const std::size_t end = bytes.rfind("PK\x05\x06");
  expects(end != std::string_view::npos && bytes.size() - end >= 22, path,
          ": not an .npz file, or truncated; write or copy it again");
  std::size_t size = little_endian(bytes, end + 12, 4);
  std::size_t offset = little_endian(bytes, end + 16, 4);
  if ((size == 0xFFFFFFFFU || offset == 0xFFFFFFFFU) && end >= 76 && bytes.substr(end - 76, 4) == "PK\x06\x06") {
    size = little_endian(bytes, end - 76 + 40, 8);
    offset = little_endian(bytes, end - 76 + 48, 8);
  }
  expects(offset <= end && size <= end - offset, path, ": damaged archive directory; write or copy the file again");
  return bytes.substr(offset, size);
}

/// Members may share packed bytes, so that a small archive declares any size; what arrays really take is far below both
/// bounds. Errors: members of more than 16 GiB, or of more than 256 MiB and 64 times the file, together.
inline void expect_plausible_sizes(std::string_view directory, std::size_t file, std::string_view path) {
  constexpr std::size_t most = std::size_t{1} << 34U, unquestioned = std::size_t{1} << 28U;
  const std::size_t bound = std::min(most, std::max(unquestioned, 64 * std::min(file, most)));
  std::size_t sum = 0;
  while (!directory.empty()) {
    const std::size_t size = take_zip_entry(directory, path).size;
    sum += std::min(size, bound + 1);
    expects(sum <= bound, path, ": its arrays take more than ", bound, " bytes, the file has ", file,
            "; a damaged or hostile archive, write it again without compression if it is neither");
  }
}

/// The packed bytes of a member, found through its local header.
inline std::string_view zip_member(std::string_view bytes, const ZipEntry& entry, std::string_view name) {
  expects(entry.offset <= bytes.size() && bytes.size() - entry.offset >= 30, name, ": lies outside the file");
  expects(bytes.substr(entry.offset, 4) == "PK\x03\x04", name, ": damaged archive");
  const std::size_t begin =
      entry.offset + 30 + little_endian(bytes, entry.offset + 26, 2) + little_endian(bytes, entry.offset + 28, 2);
  expects(begin <= bytes.size() && entry.packed <= bytes.size() - begin, name, ": truncated");
  return bytes.substr(begin, entry.packed);
}

inline void put_little_endian(std::string& bytes, std::size_t value, std::size_t width) {
  for (std::size_t i = 0; i != width; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFFU);
}

}  // namespace detail

/// Arrays by name.
using NpyArrays = std::map<std::string, NpyArray>;

/// The arrays in the bytes of an .npz file; `path` is what errors call it. Members stored or deflated.
/// Errors: not a zip archive, truncated, members that declare far more bytes than the file has, wrong checksum, a duplicate name, another compression, those of parse_npy.
inline NpyArrays parse_npz(std::string_view bytes, std::string_view path) {
  NpyArrays arrays;
  std::string_view directory = detail::zip_directory(bytes, path);
  detail::expect_plausible_sizes(directory, bytes.size(), path);
  while (!directory.empty()) {
    const detail::ZipEntry entry = detail::take_zip_entry(directory, path);
    const std::string name = std::string{path} + ":" + std::string{entry.name};
    const std::string_view packed = detail::zip_member(bytes, entry, name);
    expects(entry.method == 0 || entry.method == 8, name, ": compression method ", entry.method, " is not supported");
    expects(entry.method != 0 || entry.size == entry.packed, name,
            ": damaged archive directory; write or copy the file again");
    const std::string unpacked = entry.method == 8 ? detail::inflate(packed, entry.size, name) : std::string{};
    const std::string_view content = entry.method == 8 ? std::string_view{unpacked} : packed;
    expects(detail::zip_checksum(content) == entry.checksum, name, ": wrong checksum, the file is damaged");
    std::string_view key = entry.name;
    if (key.ends_with(".npy")) key.remove_suffix(4);
    const bool fresh = arrays.emplace(std::string{key}, parse_npy(content, name)).second;
    expects(fresh, name, ": stands in the archive twice");
  }
  return arrays;
}

/// Reads an .npz file. Errors: those of read_file and parse_npz.
inline NpyArrays read_npz(const std::filesystem::path& path) { return parse_npz(read_file(path), path.string()); }

/// The bytes of an .npz file with stored members, in the order of their names; equal arrays give equal bytes.
/// Errors: 65535 or more arrays, 4 GiB or more.
inline std::string format_npz(const NpyArrays& arrays) {
  expects(arrays.size() < 0xFFFF, "npz: at most 65534 arrays");
  constexpr std::size_t first_of_january_1980 = 0x21;
  std::string bytes;
  std::string directory;
  for (const auto& [key, values] : arrays) {
    const std::string content = format_npy(values);
    const std::string name = key + ".npy";
    expects(name.size() < 0xFFFF && content.size() + bytes.size() < 0xFFF00000U,
            "npz: more than 4 GiB, or a name too long");
    const std::size_t offset = bytes.size();
    std::string common;  // what the local header and the directory share
    for (const std::size_t field :
         {std::size_t{20}, std::size_t{0x800}, std::size_t{0}, std::size_t{0}, first_of_january_1980})
      detail::put_little_endian(common, field, 2);
    for (const std::size_t field : {detail::zip_checksum(content), content.size(), content.size()})
      detail::put_little_endian(common, field, 4);
    for (const std::size_t field : {name.size(), std::size_t{0}}) detail::put_little_endian(common, field, 2);
    bytes += "PK\x03\x04" + common + name + content;
    directory += "PK\x01\x02";
    detail::put_little_endian(directory, 20, 2);
    directory += common;
    directory.append(10, '\0');
    detail::put_little_endian(directory, offset, 4);
    directory += name;
  }
  const std::size_t offset = bytes.size();
  bytes += directory + "PK\x05\x06";
  detail::put_little_endian(bytes, 0, 4);
  for (int i = 0; i != 2; ++i) detail::put_little_endian(bytes, arrays.size(), 2);
  detail::put_little_endian(bytes, directory.size(), 4);
  detail::put_little_endian(bytes, offset, 4);
  detail::put_little_endian(bytes, 0, 2);
  return bytes;
}

/// Writes an .npz file that numpy.load opens. Errors: those of format_npz and write_file_atomically.
inline void write_npz(const std::filesystem::path& path, const NpyArrays& arrays) {
  write_file_atomically(path, format_npz(arrays));
}

}  // namespace fat::inline FAT_ABI

#endif
