// Matrices of networks that are trained here, and operations on rows of them whose results depend
// neither on threads nor on where the memory happens to lie.
#pragma once

#include <Eigen/Core>

namespace emcomp::networks {

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Entries of some rows as one array. Rows should start on a multiple of 16, so that an entry meets
// the same instructions whatever is done in parallel.
inline auto flat(RowMatrix& matrix, Eigen::Index first_row, Eigen::Index rows) {
  return Eigen::Map<Eigen::Array<float, Eigen::Dynamic, 1>>(
      matrix.data() + first_row * matrix.cols(), rows * matrix.cols());
}

void add_to_rows(RowMatrix& matrix, Eigen::Index first_row, Eigen::Index rows,
                 const RowMatrix& bias);

// Sums of columns [begin, begin + count) over the first `rows` rows, row after row.
void sum_columns(const RowMatrix& matrix, Eigen::Index rows, Eigen::Index begin, Eigen::Index count,
                 float* sums);

// Sums in float64, the same for any alignment.
double sum(const float* values, Eigen::Index count);
double dot(const float* a, const float* b, Eigen::Index count);
inline double sum_of_squares(const float* values, Eigen::Index count) {
  return dot(values, values, count);
}

}  // namespace emcomp::networks
