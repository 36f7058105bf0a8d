// How far an approximation of a table is from it: squared sums over all entries.
#pragma once

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::statistics {

// Sums in float64, block after block of kBlockRows rows: the same for any number of threads, on any
// instruction set, and for updates of any multiple of kBlockRows rows.
class SquaredError {
 public:
  SquaredError() = default;
  SquaredError(double error, double total) : error_(error), total_(total) {}

  // Adds rows of the table and the same rows of the approximation; the shapes are equal.
  void update(const base::MatrixView& table, const base::MatrixView& approximation, int threads);

  // Adds the sums of the rows that follow.
  void merge(const SquaredError& following);

  double error() const { return error_; }  // sum of (x - x̂)²
  double total() const { return total_; }  // sum of x²

 private:
  double error_ = 0.0;
  double total_ = 0.0;
};

}  // namespace emcomp::statistics
