// The integer engine on codes, compiled as programs compile it, for check.py to read its machine code.
#include <fat/model/integer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

void signed_codes(fat::IntegerModel& model, std::span<const std::int8_t> in, std::size_t batch,
                  std::span<std::int8_t> out);
void unsigned_codes(fat::IntegerModel& model, std::span<const std::uint8_t> in, std::size_t batch,
                    std::span<std::uint8_t> out);
fat::IntegerModel* prepare(const fat::QuantizedModel& quantized);

void signed_codes(fat::IntegerModel& model, std::span<const std::int8_t> in, std::size_t batch,
                  std::span<std::int8_t> out) {
  model.run(in, batch, out);
}
void unsigned_codes(fat::IntegerModel& model, std::span<const std::uint8_t> in, std::size_t batch,
                    std::span<std::uint8_t> out) {
  model.run(in, batch, out);
}
fat::IntegerModel* prepare(const fat::QuantizedModel& quantized) { return new fat::IntegerModel{quantized}; }
