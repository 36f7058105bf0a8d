// Coding rows by a trellis: gain, windows, bits.
#pragma once

#include <cstdint>
#include <span>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/codes/trellis_code.hpp"

namespace emcomp::codes {

// Rows to encode, with their classes, where there are several.
struct ClassifiedRows {
  base::MatrixView rows;
  std::span<const std::uint8_t> classes;  // of the rows; empty if all are of the first one

  std::size_t class_of(std::int64_t row) const {
    return classes.empty() ? 0 : classes[static_cast<std::size_t>(row)];
  }
};

// Encodes rows to packed, one after another, as long as their classes' layouts say. `reach` is that
// of TrellisSteps.
void encode_trellis(const ClassifiedRows& rows, const TrellisCode& code, std::int64_t reach,
                    std::uint8_t* packed, int threads);

// What the tables' values stand for in some rows, with what weight: sums over windows, each
// [kWidestTrellis, 2^window], of the entries' weights (how much their squared error counts in the
// rows) and of the entries in units of the table, weighted.
struct TrellisSums {
  std::span<double> weights;
  std::span<double> values;
};

// `class_weights`: what the squared error of rows of each class counts.
void add_trellis_sums(const ClassifiedRows& rows, const TrellisCode& code, std::int64_t reach,
                      std::span<const double> class_weights, const TrellisSums& sums, int threads);

}  // namespace emcomp::codes
