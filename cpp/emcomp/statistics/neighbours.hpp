// Exact cosine neighbours of a few query rows among all rows of a table.
#pragma once

#include <cstdint>
#include <span>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::statistics {

// The best rows seen so far for each query, best first: larger cosine, then smaller index. Unfilled
// places hold index -1 and the cosine -2.
struct Neighbours {
  std::span<float> cosines;       // [queries, count]
  std::span<std::int64_t> index;  // [queries, count]
  std::int64_t count = 0;
};

// Takes rows into account: `first` is the index of the first one in the whole table. A query row
// (unit or zero length, index in query_index) is no neighbour of itself. centre [dim] (or empty) is
// subtracted from each row. The outcome does not depend on the number of threads.
void add_neighbours(const base::MatrixView& rows, std::span<const double> centre,
                    std::int64_t first, const char* name, std::span<const float> queries,
                    std::span<const std::int64_t> query_index, int threads, Neighbours neighbours);

// Copies the rows of the given indices to out [indices, dim].
void copy_checked_rows(const base::MatrixView& rows, std::span<const std::int64_t> index,
                       std::int64_t first, const char* name, double* out);

}  // namespace emcomp::statistics
