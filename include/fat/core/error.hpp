// How a failed precondition is reported: one message, raised by the error policy of config.hpp. Needs no heap.
#ifndef FAT_CORE_ERROR_HPP_INCLUDED
#define FAT_CORE_ERROR_HPP_INCLUDED

#include <fat/config.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string_view>

namespace fat::inline FAT_ABI {

/// A message of at most 1023 bytes, built from text and numbers without allocating; what does not fit is cut.
class Message {
 public:
  template <class... Parts>
  explicit Message(const Parts&... parts) noexcept {
    (append(parts), ...);
    text_[size_] = '\0';
  }
  const char* c_str() const noexcept { return text_.data(); }
  std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  void append(std::string_view part) noexcept {
    for (const char c : part)
      if (size_ + 1 < text_.size()) text_[size_++] = c;
  }
  template <std::integral Number>
  void append(Number number) noexcept {
    std::array<char, 24> digits{};
    std::size_t at = digits.size();
    const bool negative = number < Number{0};
    auto rest = static_cast<std::uint64_t>(number);
    if (negative) rest = 0U - rest;
    do digits[--at] = static_cast<char>('0' + rest % 10U);
    while ((rest /= 10U) != 0U);
    if (negative) digits[--at] = '-';
    append(std::string_view{digits.data() + at, digits.size() - at});
  }
  template <std::floating_point Number>
  void append(Number number) noexcept {
    std::array<char, 32> digits{};
    const int written = std::snprintf(digits.data(), digits.size(), "%g", static_cast<double>(number));
    append(std::string_view{digits.data(), static_cast<std::size_t>(written > 0 ? written : 0)});
  }
  /// A shape (anything of integers that a range-for can walk) prints as [2,3,4].
  template <class Range>
    requires(!std::convertible_to<const Range&, std::string_view>)
  &&requires(const Range& r) {
    { *r.begin() } -> std::convertible_to<std::size_t>;
  }
  void append(const Range& shape) noexcept {
    append("[");
    bool first = true;
    for (const auto extent : shape) {
      if (!first) append(",");
      append(static_cast<std::size_t>(extent));
      first = false;
    }
    append("]");
  }

  std::array<char, 1024> text_{};
  std::size_t size_ = 0;
};

#if defined(FAT_ERRORS_THROW)
/// Thrown for every failed run-time precondition and for every bad input file.
class error : public std::exception {
 public:
  explicit error(const Message& message) noexcept : message_(message) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Message message_;
};
#elif defined(FAT_ERRORS_HANDLER)
/// Called with the message of a failed precondition; when it returns, the program stops.
inline void (*error_handler)(const char* message) = nullptr;
#endif

/// Raises an error whose message is the parts put together (text, integers, reals, shapes).
template <class... Parts>
[[noreturn]] void fail([[maybe_unused]] const Parts&... parts) {
#if defined(FAT_ERRORS_THROW)
  throw error{Message{parts...}};
#else
#if defined(FAT_ERRORS_HANDLER)
  if (error_handler != nullptr) error_handler(Message{parts...}.c_str());
#endif
  __builtin_trap();  // a trap shows no message, so none is built: no snprintf on a microcontroller
#endif
}

/// Precondition: `fat::expects(ok, "function: what is wrong; what to do")`.
template <class... Parts>
constexpr void expects(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(parts...);
}

}  // namespace fat::inline FAT_ABI

#endif
