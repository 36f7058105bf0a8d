// The clipping range of uniform quantization (May et al. 2019, section 3; levels as in the authors'
// code): 2^b levels from -r to r in equal steps of 2r / (2^b - 1), none of them at zero.
#pragma once

#include <cstdint>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/statistics/value_histogram.hpp"

namespace emcomp::codes {

// How the range is chosen.
enum class ClipRule : std::uint8_t {
  kOptimal,   // least squared error
  kMaximum,   // largest magnitude
  kQuantile,  // a quantile of the magnitudes, by nearest rank
  kValue,     // a given number
};

struct Clipping {
  ClipRule rule = ClipRule::kOptimal;
  double value = 0.0;  // the quantile in (0, 1], or the range
};

// The distance between levels for a histogram of all values that share it. Zero if all are zero.
double choose_step(const statistics::ValueHistogram& histogram, int bits, Clipping clipping);

// The same for each column: steps [dim].
void choose_column_steps(const statistics::ColumnHistograms& histograms, int bits,
                         Clipping clipping, float* steps, int threads);

// The same for a short vector of finite values.
double choose_step(const float* values, std::int64_t count, int bits, Clipping clipping);

// Entries below low or above high of their group of neighbouring columns.
std::int64_t count_clipped(const base::MatrixView& matrix, std::int64_t group, const float* low,
                           const float* high, int threads);

}  // namespace emcomp::codes
