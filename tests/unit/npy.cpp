// .npy and .npz: what is written is read back, damaged files are errors.
#include <fat/io/npz.hpp>

#include "support/golden.hpp"
#include "support/temporary.hpp"

#include <boost/test/unit_test.hpp>

using fat::array;
using fat::Shape;
using namespace std::string_literals;

namespace {

std::string npy(std::string header, std::string_view values, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  for (int i = 0; i != (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xFFU);
  return bytes + header + std::string{values};
}

template <class T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

/// A deflated archive with one member "a.npy", made by numpy.savez_compressed(a=numpy.zeros(64, 'u1')) with plain
/// headers.
std::string deflated_archive() {
  const std::string content = fat::format_npy(fat::NpyArray{array<std::uint8_t>{Shape{64}}});
  std::string packed(compressBound(content.size()), '\0');
  z_stream stream{};
  BOOST_REQUIRE_EQUAL(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  BOOST_REQUIRE_EQUAL(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  std::string common;
  for (const std::size_t field : {20U, 0U, 8U, 0U, 0x21U}) fat::detail::put_little_endian(common, field, 2);
  for (const std::size_t field : {fat::detail::zip_checksum(content), packed.size(), content.size()})
    fat::detail::put_little_endian(common, field, 4);
  fat::detail::put_little_endian(common, 5, 2);
  fat::detail::put_little_endian(common, 0, 2);
  std::string bytes = "PK\x03\x04" + common + "a.npy" + packed;
  const std::size_t offset = bytes.size();
  std::string directory = "PK\x01\x02";
  fat::detail::put_little_endian(directory, 20, 2);
  directory += common + std::string(14, '\0') + "a.npy";
  bytes += directory + "PK\x05\x06" + std::string(4, '\0');
  for (int i = 0; i != 2; ++i) fat::detail::put_little_endian(bytes, 1, 2);
  fat::detail::put_little_endian(bytes, directory.size(), 4);
  fat::detail::put_little_endian(bytes, offset, 4);
  return bytes + std::string(2, '\0');
}

std::string message(const std::string& bytes) {
  try {
    fat::parse_npy(bytes, "file");
  } catch (const fat::error& error) {
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, std::string_view part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) BOOST_TEST_MESSAGE("the message is: " << text);
  return found;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_npy)

BOOST_AUTO_TEST_CASE(a_written_array_is_read_back) {
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{0, 4}, Shape{1, 2, 3, 4}}) {
    array<float> values{shape};
    for (std::size_t i = 0; i != values.size(); ++i) values[i] = 0.5F * static_cast<float>(i) - 1.0F;
    const fat::NpyArray back = fat::parse_npy(fat::format_npy(fat::NpyArray{values}), "file");
    BOOST_TEST((back.as<float>() == values));
    BOOST_TEST((back.type == fat::npy_type<float>()));
  }
}

BOOST_AUTO_TEST_CASE(byte_order_and_column_order_are_undone) {
  const auto big = fat::parse_npy(
      npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", std::string("\x01\x02\xff\xff", 4)), "f");
  BOOST_TEST(big.as<int>()[0] == 258);
  BOOST_TEST(big.as<std::int64_t>()[1] == -1);
  const auto columns = fat::parse_npy(
      npy("{'shape': (2, 3), 'fortran_order': True, 'descr': '<i4'}", raw<std::int32_t>({0, 10, 1, 11, 2, 12}), 2),
      "f");
  const auto rows = columns.as<float>();
  const float expected[] = {0, 1, 2, 10, 11, 12};
  BOOST_TEST(std::equal(rows.begin(), rows.end(), expected));
}

BOOST_AUTO_TEST_CASE(halves_bools_and_doubles_convert) {
  const auto halves = fat::parse_npy(npy("{'descr': '<f2', 'fortran_order': False, 'shape': (5,)}",
                                         raw<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x7BFF, 0xFC00})),
                                     "f")
                          .as<float>();
  BOOST_TEST(halves[0] == 1.0F);
  BOOST_TEST(halves[1] == -2.0F);
  BOOST_TEST(halves[2] == 0x1p-24F);
  BOOST_TEST(halves[3] == 65504.0F);
  BOOST_TEST(halves[4] == -std::numeric_limits<float>::infinity());
  const auto bools =
      fat::parse_npy(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", std::string("\0\1", 2)), "f");
  BOOST_TEST(bools.as<std::uint8_t>()[1] == 1);
  BOOST_TEST(bools.as<float>()[0] == 0.0F);
}

BOOST_AUTO_TEST_CASE(a_number_that_does_not_fit_is_an_error) {
  const fat::NpyArray wide{array<std::int32_t>{Shape{1}, 300}};
  BOOST_CHECK_THROW(wide.as<std::int8_t>(), fat::error);
  BOOST_CHECK_THROW(fat::NpyArray{array<float>{Shape{1}}}.as<std::int32_t>(), fat::error);
  const auto text = fat::parse_npy(npy("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", "a\0\0"s + '\0'), "f");
  BOOST_CHECK_THROW(text.as<float>(), fat::error);
}

BOOST_AUTO_TEST_CASE(a_damaged_array_is_an_error) {
  BOOST_TEST(has(message("hello"), "not a .npy file"));
  BOOST_TEST(has(message(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", "1234")), "needs 16 bytes"));
  BOOST_TEST(has(message(npy("{'descr': '<f4', 'shape': (1,)", "1234")), "malformed"));
  BOOST_TEST(has(message(npy("{'descr': '<f4', 'fortran_order': False}", "1234")), "missing"));
  BOOST_TEST(has(message(npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "12345678")), "unsupported"));
  BOOST_TEST(has(message(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}", "")),
                 "too large"));
  BOOST_TEST(has(message(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "")), "malformed"));
  BOOST_TEST(has(message(npy("{}", "", 9)), "version 9"));
  std::string lying = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "1234");
  lying[9] = '\x7f';
  BOOST_TEST(has(message(lying), "truncated"));
}

BOOST_AUTO_TEST_CASE(an_archive_is_read_back_and_every_truncation_is_an_error) {
  fat::NpyArrays arrays;
  arrays.emplace("weights", array<std::int8_t>{Shape{3, 2}, std::int8_t{-7}});
  arrays.emplace("layer/bias", array<double>{Shape{2}, 0.25});
  const std::string bytes = fat::format_npz(arrays);
  const fat::NpyArrays back = fat::parse_npz(bytes, "f");
  BOOST_TEST(back.size() == 2U);
  BOOST_TEST((back.at("weights").as<std::int8_t>() == arrays.at("weights").as<std::int8_t>()));
  BOOST_TEST(back.at("layer/bias").as<float>()[1] == 0.25F);
  BOOST_TEST(bytes == fat::format_npz(back));
  for (std::size_t size = 0; size != bytes.size(); ++size)
    BOOST_CHECK_THROW(fat::parse_npz(std::string_view{bytes}.substr(0, size), "f"), fat::error);
}

BOOST_AUTO_TEST_CASE(flipped_bits_never_give_other_values) {
  fat::NpyArrays arrays;
  arrays.emplace("a", array<std::int16_t>{Shape{2, 2}, std::int16_t{9}});
  const std::string bytes = fat::format_npz(arrays);
  for (std::size_t bit = 0; bit != 8 * bytes.size(); ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      const fat::NpyArrays back = fat::parse_npz(damaged, "f");
      for (const auto& [name, values] : back)
        BOOST_CHECK((values.as<std::int16_t>() == arrays.at("a").as<std::int16_t>()));
    } catch (const fat::error&) {
    }
  }
}

BOOST_AUTO_TEST_CASE(deflated_members_are_read) {
  const std::string bytes = deflated_archive();
  const auto back = fat::parse_npz(bytes, "f");
  BOOST_TEST((back.at("a").as<std::uint8_t>() == array<std::uint8_t>{Shape{64}}));
  std::string bomb = bytes;
  for (const char* mark : {"PK\x01\x02"}) bomb[bomb.find(mark) + 27] = '\x7f';
  BOOST_CHECK_THROW(fat::parse_npz(bomb, "f"), fat::error);
}

/// Each member alone is plausible, all together are not: refused by the directory, before anything is unpacked.
BOOST_AUTO_TEST_CASE(an_archive_that_declares_far_more_than_it_holds_is_refused_before_it_is_unpacked) {
  fat::NpyArrays arrays;
  for (int i = 0; i != 9; ++i) arrays.emplace("a" + std::to_string(i), array<float>{Shape{1}, 1.0F});
  std::string bomb = fat::format_npz(arrays);
  std::size_t entries = 0;
  for (std::size_t at = bomb.find("PK\x01\x02"); at != std::string::npos; at = bomb.find("PK\x01\x02", at + 1)) {
    bomb[at + 10] = 8;                                                                // deflated
    for (std::size_t i = 0; i != 4; ++i) bomb[at + 24 + i] = i == 3 ? '\x02' : '\0';  // 2^25 bytes
    ++entries;
  }
  BOOST_TEST_REQUIRE(entries == 9U);
  BOOST_CHECK_EXCEPTION(fat::parse_npz(bomb, "f"), fat::error, [](const fat::error& problem) {
    return std::string{problem.what()}.starts_with("f: its arrays take more than 268435456 bytes, the file has");
  });
}

BOOST_AUTO_TEST_CASE(a_file_is_replaced_whole_or_not_at_all) {
  const fat::test::TemporaryFolder folder;
  const auto path = folder.path() / "a.npz";
  fat::NpyArrays arrays;
  arrays.emplace("a", array<float>{Shape{4}, 1.0F});
  fat::write_npz(path, arrays);
  fat::write_npz(path, arrays);
  BOOST_TEST(fat::read_npz(path).size() == 1U);
  BOOST_TEST(std::distance(std::filesystem::directory_iterator{folder.path()}, {}) == 1);
  BOOST_CHECK_THROW(fat::write_npz(folder.path() / "absent" / "a.npz", arrays), fat::error);
  BOOST_CHECK_THROW(fat::write_npz(folder.path(), arrays), fat::error);
  BOOST_CHECK_THROW(fat::read_npz(folder.path() / "absent.npz"), fat::error);
  BOOST_CHECK_THROW(fat::read_npz(folder.path()), fat::error);
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_an_error, *boost::unit_test::precondition([](boost::unit_test::test_unit_id) {
                       return std::filesystem::exists("/dev/full");
                     })) {
  const fat::test::TemporaryFolder folder;
  std::FILE* const full = std::fopen("/dev/full", "wb");
  BOOST_REQUIRE(full != nullptr);
  BOOST_TEST(!fat::detail::write_and_close(full, std::string(100000, 'x')));
}

BOOST_AUTO_TEST_CASE(reference_vectors_open, *fat::test::needs_golden("01_symmetric.npz")) {
  const auto x = fat::test::golden("01_symmetric.npz").at("x").as<float>();
  BOOST_TEST((x.shape() == Shape{6, 5, 4, 3}));
}

BOOST_AUTO_TEST_SUITE_END()
