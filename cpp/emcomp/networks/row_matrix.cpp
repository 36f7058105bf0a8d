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

template <class Scalar>
void add_to_rows(RowMatrix<Scalar>& matrix, Index first_row, Index rows,
                 const RowMatrix<Scalar>& bias) {
  for (Index r = first_row; r < first_row + rows; ++r) {
    Scalar* row = matrix.data() + r * matrix.cols();
    for (Index c = 0; c < matrix.cols(); ++c) row[c] += bias.data()[c];
  }
}

template <class Scalar>
void sum_columns(const RowMatrix<Scalar>& matrix, Index rows, Index begin, Index count,
                 Scalar* sums) {
  std::fill_n(sums, count, Scalar{0});
  for (Index r = 0; r < rows; ++r) {
    const Scalar* row = matrix.data() + r * matrix.cols() + begin;
    for (Index c = 0; c < count; ++c) sums[c] += row[c];
  }
}

template <class Scalar>
double sum(const Scalar* values, Index count) {
  return sum_terms(count, [&](Index i) { return static_cast<double>(values[i]); });
}

template <class Scalar>
double dot(const Scalar* a, const Scalar* b, Index count) {
  return sum_terms(count,
                   [&](Index i) { return static_cast<double>(a[i]) * static_cast<double>(b[i]); });
}

template void add_to_rows(RowMatrix<float>&, Index, Index, const RowMatrix<float>&);
template void add_to_rows(RowMatrix<double>&, Index, Index, const RowMatrix<double>&);
template void sum_columns(const RowMatrix<float>&, Index, Index, Index, float*);
template void sum_columns(const RowMatrix<double>&, Index, Index, Index, double*);
template double sum(const float*, Index);
template double sum(const double*, Index);
template double dot(const float*, const float*, Index);
template double dot(const double*, const double*, Index);

}  // namespace emcomp::networks
