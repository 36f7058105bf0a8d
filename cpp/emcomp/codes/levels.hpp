// Coding of table rows by levels: a code is the index of the nearest of 2^b ascending levels, the
// lower one of two equally near, a value is the level itself.
#pragma once

#include <cstdint>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::codes {

// Columns fall into groups of `group` (the last may be smaller) with levels of their own:
// values [groups, 2^bits], ascending, each group's last one repeated where it has fewer.
struct LevelTable {
  const float* values = nullptr;
  std::int64_t group = 0;
  int bits = 0;

  std::int64_t count() const { return std::int64_t{1} << bits; }
  std::int64_t groups(std::int64_t dim) const { return (dim + group - 1) / group; }
};

// Encodes all rows of a matrix; packed is [rows, row_bytes(dim, bits)].
void encode_levels(const base::MatrixView& matrix, const LevelTable& levels, std::uint8_t* packed,
                   int threads);

}  // namespace emcomp::codes
