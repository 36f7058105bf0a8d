// k-means from start to end.
#pragma once

#include <cstdint>
#include <vector>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::kmeans {

// Rounds of Lloyd's algorithm stop where one lowers the inertia by less than this part of it.
inline constexpr double kKMeansTolerance = 1e-5;

// Bounds on distances cost more than the distances that they save in fewer dimensions than this.
inline constexpr std::int64_t kBoundsMinDim = 32;

// Rows for each centroid in the sample from which the start is chosen.
inline constexpr std::int64_t kStartRowsPerCentroid = 64;

// Initial centroids [count, sample.dim]: rows drawn evenly, or by k-means++, whichever is better
// after a few rounds on the sample. k-means++ finds clusters that lie apart; where there are none
// it spends centroids on outliers.
std::vector<float> start_centroids(const base::MatrixView& sample, std::int64_t count,
                                   std::uint64_t seed, int threads);

// Centroids [count, rows.dim] of rows in memory after at most `iterations` rounds. Some repeat
// where there are fewer different rows than centroids.
std::vector<float> fit_centroids(const base::MatrixView& rows, std::int64_t count, int iterations,
                                 std::uint64_t seed, int threads);

}  // namespace emcomp::kmeans
