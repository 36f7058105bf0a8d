// Uniform quantization of table rows into packed codes (May et al. 2019, section 3).
//
//   code  = round(clamp(x / step, -half, half) + half),   half = (2^b - 1) / 2
//   value = (code - half) * step
//
// in float32. Rounding is half to even, or up with probability equal to the fraction. Where the
// step is zero every code is 2^(b-1), whose value is +0.
#pragma once

#include <cstdint>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/codes/clipping.hpp"

namespace emcomp::codes {

// Which entries share a step. Columns fall into groups of `group` (the last may be smaller);
// steps[row * row_stride + column / group].
struct StepLayout {
  std::int64_t group = 0;
  std::int64_t row_stride = 0;

  static StepLayout matrix(std::int64_t dim) { return {.group = dim, .row_stride = 0}; }
  static StepLayout column() { return {.group = 1, .row_stride = 0}; }
  static StepLayout groups(std::int64_t dim, std::int64_t group) {
    return {.group = group, .row_stride = (dim + group - 1) / group};
  }
};

struct Rounding {
  bool stochastic = false;
  std::uint64_t seed = 0;
};

// Chooses a step for each row and each group of `group` columns: steps [rows, groups].
void choose_row_steps(const base::MatrixView& matrix, int bits, std::int64_t group,
                      Clipping clipping, float* steps, int threads);

// Encodes all rows of a matrix whose first row is row `first_row` of the table: random numbers
// depend on the table's row. packed is [rows, row_bytes(dim, bits)].
void encode_uniform(const base::MatrixView& matrix, std::int64_t first_row, int bits,
                    StepLayout layout, const float* steps, Rounding rounding, std::uint8_t* packed,
                    int threads);

// The first non-finite entry in row order, as row * dim + column, or -1; how many there are; and
// the largest magnitude, which means nothing where one is not a number.
struct NonFinite {
  std::int64_t first = -1;
  std::int64_t count = 0;
  float largest = 0.0f;
};
NonFinite find_nonfinite(const base::MatrixView& matrix, int threads);

}  // namespace emcomp::codes
