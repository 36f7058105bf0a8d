// Decimal text to the nearest float32, ties to even, as IEEE 754 asks.
#pragma once

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>

namespace emcomp::vectors {

namespace detail {

// 10^-63 to 10^63, each rounded to the nearest.
inline constexpr int kLargestPower = 63;
inline constexpr double kPowersOfTen[] = {
    1e-63, 1e-62, 1e-61, 1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55, 1e-54, 1e-53, 1e-52, 1e-51,
    1e-50, 1e-49, 1e-48, 1e-47, 1e-46, 1e-45, 1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39, 1e-38,
    1e-37, 1e-36, 1e-35, 1e-34, 1e-33, 1e-32, 1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25,
    1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12,
    1e-11, 1e-10, 1e-9,  1e-8,  1e-7,  1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,
    1e2,   1e3,   1e4,   1e5,   1e6,   1e7,   1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,
    1e15,  1e16,  1e17,  1e18,  1e19,  1e20,  1e21,  1e22,  1e23,  1e24,  1e25,  1e26,  1e27,
    1e28,  1e29,  1e30,  1e31,  1e32,  1e33,  1e34,  1e35,  1e36,  1e37,  1e38,  1e39,  1e40,
    1e41,  1e42,  1e43,  1e44,  1e45,  1e46,  1e47,  1e48,  1e49,  1e50,  1e51,  1e52,  1e53,
    1e54,  1e55,  1e56,  1e57,  1e58,  1e59,  1e60,  1e61,  1e62,  1e63};
inline constexpr std::uint64_t kIntegerPowers[] = {1,      10,      100,      1000,     10000,
                                                   100000, 1000000, 10000000, 100000000};

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// Appends the digits at `at` to the mantissa, which may wrap; the caller counts them.
inline const char* read_digits(const char* at, const char* end, std::uint64_t& mantissa) {
  while (end - at >= 8) {
    std::uint64_t text;
    std::memcpy(&text, at, 8);
    if constexpr (std::endian::native == std::endian::big) text = __builtin_bswap64(text);
    // Bytes 0-9 are digits; adding 0x76 sets the top bit of all others. A carry out of a byte only
    // spoils later ones, and only the first byte that is not a digit matters.
    text ^= 0x3030303030303030u;
    const std::uint64_t others = ((text + 0x7676767676767676u) | text) & 0x8080808080808080u;
    const int count = others == 0 ? 8 : std::countr_zero(others) / 8;
    if (count == 0) return at;
    // Move the digits to the top, so that zeros lead; then add up pairs, fours and all eight.
    text <<= 64 - 8 * count;
    text = text * 10 + (text >> 8);
    const std::uint64_t value = (((text & 0x000000ff000000ffu) * 0x000f424000000064u) +
                                 (((text >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
                                32;
    mantissa = mantissa * kIntegerPowers[count] + value;
    at += count;
    if (count < 8) return at;
  }
  for (; at < end && is_digit(*at); ++at) {
    mantissa = mantissa * 10 + static_cast<unsigned char>(*at - '0');
  }
  return at;
}

// Whether the unsigned decimal number [at, end), known not to be zero, is at least 1.
inline bool is_large(const char* at, const char* end) {
  std::int64_t power = 0;  // of the first digit that is not zero
  bool point = false;
  bool found = false;
  for (; at < end && *at != 'e' && *at != 'E'; ++at) {
    if (*at == '.') {
      point = true;
      continue;
    }
    if (point && !found) --power;
    if (!point && found) ++power;
    found = found || *at != '0';
  }
  if (at == end) return power >= 0;
  const bool negative = *++at == '-';
  if (*at == '-' || *at == '+') ++at;
  std::int64_t exponent = 0;
  for (; at < end && exponent < (std::int64_t{1} << 50); ++at) exponent = exponent * 10 + *at - '0';
  return power + (negative ? -exponent : exponent) >= 0;
}

// Any number, also infinities and NaN spelled out. Too large gives infinity, too small zero.
[[gnu::noinline]] inline const char* parse_float_slow(const char* at, const char* end,
                                                      float& value) {
  const bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) ++at;
  if (at == end || *at == '-') return nullptr;
  float magnitude = 0;
  const auto result = std::from_chars(at, end, magnitude);
  if (result.ec == std::errc::invalid_argument) return nullptr;
  if (result.ec == std::errc::result_out_of_range) {
    magnitude = is_large(at, result.ptr) ? std::numeric_limits<float>::infinity() : 0.0f;
  }
  value = negative ? -magnitude : magnitude;
  return result.ptr;
}

}  // namespace detail

// Reads the number that begins at `at` and returns the first character after it, or nullptr where
// there is none. What may follow a number is for the caller to say.
inline const char* parse_float(const char* at, const char* end, float& value) {
  if (at == end) return nullptr;
  // Signs are as good as random: no branches on them.
  const bool negative = *at == '-';
  const char* p = at + (static_cast<int>(negative) | static_cast<int>(*at == '+'));

  std::uint64_t mantissa = 0;
  const char* const digits = p;
  while (p < end && detail::is_digit(*p)) {
    mantissa = mantissa * 10 + static_cast<unsigned char>(*p++ - '0');
  }
  std::int64_t count = p - digits;
  std::int64_t power = 0;
  if (p < end && *p == '.') {
    const char* const fraction = ++p;
    p = detail::read_digits(p, end, mantissa);
    power = fraction - p;
    count -= power;
  }
  // 19 digits may not fit a signed mantissa; no digits may be the name of an infinity.
  if (count == 0 || count > 18) [[unlikely]]
    return detail::parse_float_slow(at, end, value);

  if (p < end && (*p | 0x20) == 'e') {
    ++p;
    const bool down = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) ++p;
    if (p == end || !detail::is_digit(*p)) return nullptr;
    std::int64_t exponent = 0;
    for (; p < end && detail::is_digit(*p); ++p) {
      if (exponent < 10000) exponent = exponent * 10 + (*p - '0');
    }
    power += down ? -exponent : exponent;
  }
  if (mantissa == 0) {
    value = negative ? -0.0f : 0.0f;
    return p;
  }
  if (power < -detail::kLargestPower || power > detail::kLargestPower) [[unlikely]] {
    return detail::parse_float_slow(at, end, value);
  }

  // Mantissa, power and product are each rounded once, so that `wide` is within 3 units in its last
  // place of the number. Rounding it to float32 gives what rounding the number itself would, unless
  // a midpoint of two float32 values lies that near, or the result leaves float32's normal range,
  // where midpoints lie elsewhere.
  const double wide = static_cast<double>(static_cast<std::int64_t>(mantissa)) *
                      detail::kPowersOfTen[power + detail::kLargestPower];
  const std::uint64_t below = std::bit_cast<std::uint64_t>(wide) & 0x1fffffffu;
  const bool near_midpoint = below - 0x0ffffff8u <= 16;
  if (near_midpoint || wide < 0x1.000002p-126 || wide > 0x1.fffffcp+127) [[unlikely]] {
    return detail::parse_float_slow(at, end, value);
  }
  const std::uint32_t sign = static_cast<std::uint32_t>(negative) << 31;
  value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(wide)) | sign);
  return p;
}

}  // namespace emcomp::vectors
