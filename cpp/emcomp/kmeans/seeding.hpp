// Rows from which k-means starts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::kmeans {

// `count` different indices of [0, rows), ascending: one from each of `count` equal stretches.
std::vector<std::int64_t> sample_rows(std::int64_t rows, std::int64_t count, std::uint64_t seed);

// The listed rows as dense float32, [indices.size(), rows.dim].
std::vector<float> copy_rows(const base::MatrixView& rows, std::span<const std::int64_t> indices);

// k-means++ (Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding"): each
// centroid is a row drawn with probability proportional to the squared distance from the centroids
// before. Rows repeat only where there are fewer different ones. Returns [count, rows.dim].
std::vector<float> spread_centroids(const base::MatrixView& rows, std::int64_t count,
                                    std::uint64_t seed, int threads);

}  // namespace emcomp::kmeans
