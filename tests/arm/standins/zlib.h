// The part of zlib that fat calls, for processors without one to link: checksums, but no compressed members.
#ifndef FAT_TESTS_ARM_ZLIB_H_INCLUDED
#define FAT_TESTS_ARM_ZLIB_H_INCLUDED

#include <cstddef>

using Bytef = unsigned char;
using uInt = unsigned int;
using uLong = unsigned long;
using z_size_t = std::size_t;
struct z_stream {
  Bytef* next_in;
  uInt avail_in;
  Bytef* next_out;
  uInt avail_out;
  uLong total_in, total_out;
};
constexpr int Z_OK = 0;
constexpr int Z_STREAM_END = 1;
constexpr int Z_FINISH = 4;
constexpr int Z_STREAM_ERROR = -2;
constexpr int MAX_WBITS = 15;

uLong crc32_z(uLong checksum, const Bytef* bytes, z_size_t size);
inline int inflateInit2(z_stream*, int) { return Z_STREAM_ERROR; }
inline int inflate(z_stream*, int) { return Z_STREAM_ERROR; }
inline int inflateEnd(z_stream*) { return Z_OK; }

#endif
