// Codes of 1 to 12 bits of vector codes, packed: a row starts on a byte, and code j occupies bits
// [j * bits, (j + 1) * bits) of the row's little-endian bit string.
#pragma once

#include <cstdint>
#include <cstring>

namespace emcomp::packing {

inline void write_codes(const std::int32_t* codes, std::int64_t count, int bits,
                        std::uint8_t* packed) {
  std::uint32_t pending = 0;
  int pending_bits = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    pending |= static_cast<std::uint32_t>(codes[i]) << pending_bits;
    for (pending_bits += bits; pending_bits >= 8; pending_bits -= 8, pending >>= 8) {
      *packed++ = static_cast<std::uint8_t>(pending);
    }
  }
  if (pending_bits > 0) *packed = static_cast<std::uint8_t>(pending);
}

// Reads up to three bytes past the code's own.
inline std::int64_t read_code(const std::uint8_t* packed, std::int64_t index, int bits) {
  if (bits == 8) return packed[index];
  const std::int64_t bit = index * bits;
  std::uint32_t word;
  std::memcpy(&word, packed + bit / 8, sizeof word);
  return (word >> (bit % 8)) & ((1u << bits) - 1u);
}

}  // namespace emcomp::packing
