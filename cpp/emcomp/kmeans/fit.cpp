#include "emcomp/kmeans/fit.hpp"

#include <algorithm>
#include <limits>

#include "emcomp/kmeans/lloyd.hpp"
#include "emcomp/kmeans/seeding.hpp"

namespace emcomp::kmeans {

namespace {

struct Fit {
  std::vector<float> centroids;
  double inertia;
};

Fit run_rounds(const base::MatrixView& rows, std::vector<float> start, int iterations,
               int threads) {
  Lloyd lloyd(start, rows.dim, rows.rows, rows.dim >= kBoundsMinDim);
  Fit best = {std::move(start), std::numeric_limits<double>::infinity()};
  std::vector<double> row(static_cast<std::size_t>(rows.dim));
  for (int round = 0;; ++round) {
    lloyd.assign(rows, 0, threads);
    const double inertia = lloyd.inertia();
    const double before = best.inertia;
    if (inertia < before) best = {lloyd.centroids(), inertia};
    const auto empty = lloyd.empty_clusters();
    const auto farthest = lloyd.farthest_rows(static_cast<std::int64_t>(empty.size()));
    const bool settled = farthest.empty() && !(before - inertia > kKMeansTolerance * inertia);
    if (round == iterations || settled) return best;
    lloyd.update();
    for (std::size_t i = 0; i < farthest.size(); ++i) {
      base::load_rows(rows, farthest[i], 1, row.data());
      lloyd.replace(empty[i], row);
    }
  }
}

}  // namespace

std::vector<float> start_centroids(const base::MatrixView& sample, std::int64_t count,
                                   std::uint64_t seed, int threads) {
  constexpr int kTrialRounds = 5;
  // Every other row; all rows where half of them are too few.
  base::MatrixView one_half = sample;
  base::MatrixView other_half = sample;
  if (sample.rows / 2 >= count) {
    one_half.row_stride = other_half.row_stride = 2 * sample.row_stride;
    one_half.rows = (sample.rows + 1) / 2;
    other_half.rows = sample.rows / 2;
    other_half.data += sample.row_stride;
  }
  const auto trial = [&](const std::vector<float>& start) {
    Fit fit = run_rounds(one_half, start, kTrialRounds, threads);
    return run_rounds(other_half, std::move(fit.centroids), 0, threads).inertia;
  };
  std::vector<float> even = copy_rows(one_half, sample_rows(one_half.rows, count, seed));
  std::vector<float> spread = spread_centroids(one_half, count, seed, threads);
  return trial(even) <= trial(spread) ? even : spread;
}

std::vector<float> fit_centroids(const base::MatrixView& rows, std::int64_t count, int iterations,
                                 std::uint64_t seed, int threads) {
  const std::int64_t sample_count = std::min(rows.rows, count * kStartRowsPerCentroid);
  const std::vector<float> sample = copy_rows(rows, sample_rows(rows.rows, sample_count, seed));
  std::vector<float> start = start_centroids(dense_view(sample, rows.dim), count, seed, threads);
  return run_rounds(rows, std::move(start), iterations, threads).centroids;
}

}  // namespace emcomp::kmeans
