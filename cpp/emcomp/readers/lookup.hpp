// Rows, bags and nearest rows of a compressed table, on several threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// The position of the first id outside [-rows, rows), or -1.
std::int64_t find_bad_id(std::span<const std::int64_t> ids, std::int64_t rows);

// Rows of ids as `dtype` to out [ids.size(), dim].
void gather_rows(const RowReader& reader, std::span<const std::int64_t> ids, base::DType dtype,
                 std::byte* out, int threads);

// Rows [first, first + count) as `dtype` to out [count, dim].
void read_rows(const RowReader& reader, std::int64_t first, std::int64_t count, base::DType dtype,
               std::byte* out, int threads);

// Bag i holds ids [offsets[i], offsets[i + 1]), the last one the rest: out [offsets.size(), dim].
// Offsets ascend and start at 0. Weights are null or one for each id.
void reduce_bags(const RowReader& reader, std::span<const std::int64_t> ids,
                 std::span<const std::int64_t> offsets, const float* weights, BagMode mode,
                 float* out, int threads);

// The k rows of largest cosine with each query, best first, ties by the smaller row; rows of zeros
// have cosine 0. rows and cosines are [queries, k], with k at most the table's rows.
void most_similar(const RowReader& reader, const float* queries, std::int64_t query_count,
                  std::int64_t k, std::int64_t* rows, double* cosines, int threads);

}  // namespace emcomp::readers
