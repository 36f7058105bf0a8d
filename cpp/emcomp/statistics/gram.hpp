// Sums of products over the rows of one or two tables, in float64, from which every measure that
// needs no single rows is computed.
#pragma once

#include <cstdint>
#include <span>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::statistics {

// Rows summed by one thread before they are merged into the total. Blocks of rows handed to the
// functions below start at multiples of this, so that sums do not depend on how a table is read.
inline constexpr std::int64_t kSumRows = 4096;

// Rows of a table seen through an affine map: (row - centre) * map.
struct ProjectedRows {
  base::MatrixView rows;
  std::span<const double> centre;  // [dim], or empty for zero
  std::span<const double> map;     // [dim, width] row-major, or empty for the identity
  std::int64_t width = 0;          // columns after the map
  const char* name = "";           // for messages
};

// Sums over pairs of rows (a, b) of one dimension.
struct Distances {
  double squared_error = 0;  // |a - b|^2
  double euclidean = 0;      // |a - b|
  double cosine = 0;         // 1 - cos(a, b); 0 for two zero rows, 1 for one
};

// Adds the sum of b'b over mapped rows to the upper triangle of gram [width, width]. `first` is the
// index of the first row in the whole table, for messages.
void add_gram(const ProjectedRows& b, std::int64_t first, int threads, std::span<double> gram);

// The same for the rows of b less their image of a, b - a * projection (none where that is empty),
// and adds a'b to cross [a.width, b.width] and the distances (not computed for a null pointer).
void add_pair(const ProjectedRows& a, const ProjectedRows& b, std::span<const double> projection,
              std::int64_t first, int threads, std::span<double> gram, std::span<double> cross,
              Distances* distances);

// Adds the sum of the rows to sums [dim].
void add_columns(const base::MatrixView& rows, std::int64_t first, const char* name, int threads,
                 std::span<double> sums);

// Throws InputError naming the first entry of rows [count, dim] that is not finite.
void check_finite(const double* rows, std::int64_t count, std::int64_t dim, std::int64_t first,
                  const char* name);

}  // namespace emcomp::statistics
