// Coding rows by a trellis: gain, windows, bits.
#pragma once

#include <cstdint>
#include <span>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/codes/trellis_code.hpp"

namespace emcomp::codes {

// Encodes all rows of a matrix; packed is [rows, row_bytes()]. `reach` is that of TrellisSteps.
void encode_trellis(const base::MatrixView& matrix, const TrellisCode& code, std::int64_t reach,
                    std::uint8_t* packed, int threads);

// What the tables' values stand for in some rows, with what weight: sums over windows, each
// [kWidestTrellis, 2^window], of the entries' weights (how much their squared error counts in the
// rows) and of the entries in units of the table, weighted.
struct TrellisSums {
  std::span<double> weights;
  std::span<double> values;
};

void add_trellis_sums(const base::MatrixView& matrix, const TrellisCode& code, std::int64_t reach,
                      const TrellisSums& sums, int threads);

}  // namespace emcomp::codes
