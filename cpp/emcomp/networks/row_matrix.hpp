// Matrices of networks that are trained here, and operations on rows of them whose results depend
// neither on threads nor on where the memory happens to lie.
#pragma once

#include <Eigen/Core>

namespace emcomp::networks {

template <class Scalar>
using RowMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Entries of some rows as one array. Rows should start on a multiple of 16, so that an entry meets
// the same instructions whatever is done in parallel.
template <class Scalar>
auto flat(RowMatrix<Scalar>& matrix, Eigen::Index first_row, Eigen::Index rows) {
  return Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>>(
      matrix.data() + first_row * matrix.cols(), rows * matrix.cols());
}

template <class Scalar>
void add_to_rows(RowMatrix<Scalar>& matrix, Eigen::Index first_row, Eigen::Index rows,
                 const RowMatrix<Scalar>& bias);

// Sums of columns [begin, begin + count) over the first `rows` rows, row after row.
template <class Scalar>
void sum_columns(const RowMatrix<Scalar>& matrix, Eigen::Index rows, Eigen::Index begin,
                 Eigen::Index count, Scalar* sums);

// Sums in float64, the same for any alignment.
template <class Scalar>
double sum(const Scalar* values, Eigen::Index count);
template <class Scalar>
double dot(const Scalar* a, const Scalar* b, Eigen::Index count);
template <class Scalar>
double sum_of_squares(const Scalar* values, Eigen::Index count) {
  return dot(values, values, count);
}

}  // namespace emcomp::networks
