#include "emcomp/networks/row_matrix.hpp"

#include <algorithm>
#include <array>

namespace emcomp::networks {

namespace {

using Eigen::Index;

// Adds up term(i) in float64, in sixteen sums whatever the instruction set.
template <class Term>
double sum_terms(Index count, Term term) {
  constexpr Index kLanes = 16;
  std::array<double, kLanes> sums{};
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (Index lane = 0; lane < kLanes; ++lane) {
      sums[static_cast<std::size_t>(lane)] += term(i + lane);
    }
  }
  double total = 0.0;
  for (; i < count; ++i) total += term(i);
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

void add_to_rows(RowMatrix& matrix, Index first_row, Index rows, const RowMatrix& bias) {
  for (Index r = first_row; r < first_row + rows; ++r) {
    float* row = matrix.data() + r * matrix.cols();
    for (Index c = 0; c < matrix.cols(); ++c) row[c] += bias.data()[c];
  }
}

void sum_columns(const RowMatrix& matrix, Index rows, Index begin, Index count, float* sums) {
  std::fill_n(sums, count, 0.0f);
  for (Index r = 0; r < rows; ++r) {
    const float* row = matrix.data() + r * matrix.cols() + begin;
    for (Index c = 0; c < count; ++c) sums[c] += row[c];
  }
}

double sum(const float* values, Index count) {
  return sum_terms(count, [&](Index i) { return static_cast<double>(values[i]); });
}

double dot(const float* a, const float* b, Index count) {
  return sum_terms(count,
                   [&](Index i) { return static_cast<double>(a[i]) * static_cast<double>(b[i]); });
}

}  // namespace emcomp::networks
