// Codes of 1 to 8 bits, packed. A row starts on a byte; code j occupies bits [j * bits, (j + 1) *
// bits) of the row's little-endian bit string; unused bits of the last byte are zero.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "emcomp/base/errors.hpp"

namespace emcomp::packing {

constexpr std::int64_t row_bytes(std::int64_t dim, int bits) { return (dim * bits + 7) / 8; }

// Packs `rows` rows of `dim` codes, one a byte in [0, 2^bits), into packed [rows, row_bytes].
void pack_codes(const std::uint8_t* codes, std::int64_t rows, std::int64_t dim, int bits,
                std::uint8_t* packed, int threads);

// Calls function(std::integral_constant<int, bits>()) for a width known at run time.
template <class Function>
decltype(auto) for_bits(int bits, Function&& function) {
  switch (bits) {
    case 1:
      return function(std::integral_constant<int, 1>());
    case 2:
      return function(std::integral_constant<int, 2>());
    case 3:
      return function(std::integral_constant<int, 3>());
    case 4:
      return function(std::integral_constant<int, 4>());
    case 5:
      return function(std::integral_constant<int, 5>());
    case 6:
      return function(std::integral_constant<int, 6>());
    case 7:
      return function(std::integral_constant<int, 7>());
    case 8:
      return function(std::integral_constant<int, 8>());
    default:
      throw InputError("bits must be from 1 to 8, not " + std::to_string(bits));
  }
}

}  // namespace emcomp::packing
