// What trellis codes stand for, from the tensors of a file.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "emcomp/codes/trellis_code.hpp"

namespace emcomp::readers {

// Tables of columns of up to this many bits are stored as bytes, others as float16.
inline constexpr int kByteTables = 4;

struct StoredTrellis {
  std::size_t classes;                         // of rows
  std::span<const std::uint8_t> widths;        // [classes, dim]
  std::span<const std::uint8_t> scales;        // [classes, dim]
  std::span<const std::int64_t> grid;          // lowest gain, step of gains, lowest scale
  std::span<const float> offset;               // of the columns, or empty
  std::span<const std::uint8_t> tables;        // [kByteTables, 2^(window - 1)], two's complement
  std::span<const float> steps;                // [kByteTables]
  std::span<const std::uint16_t> wide_tables;  // [4, 2^(window - 1)], float16
};

// Throws FormatError, with `codec` in its message, for parts that are out of range or do not fit
// each other.
codes::TrellisCode make_trellis_code(const StoredTrellis& stored, const std::string& codec);

}  // namespace emcomp::readers
