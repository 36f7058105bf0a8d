// Squares of the entries of centred rows, by column and by row.
#pragma once

#include <cstdint>
#include <span>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::statistics {

// Root mean squares of rows fall into bins of 1/64 octave: bin i begins at 2^(i / 64 -
// kLengthOctaves).
inline constexpr std::int64_t kLengthOctaves = 160;
inline constexpr std::int64_t kLengthBins = 64 * 2 * kLengthOctaves;

// Adds the squares of the entries less `centre` [dim] (empty for zero) to squares [dim], and one
// for each row that is not its centre to the bin of its root mean square in lengths [kLengthBins].
void add_squares(const base::MatrixView& rows, std::span<const float> centre, int threads,
                 std::span<double> squares, std::span<double> lengths);

}  // namespace emcomp::statistics
