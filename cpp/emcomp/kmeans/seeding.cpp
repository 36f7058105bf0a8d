#include "emcomp/kmeans/seeding.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "emcomp/base/parallel.hpp"
#include "emcomp/base/random.hpp"
#include "emcomp/kmeans/nearest_codeword.hpp"

namespace emcomp::kmeans {

namespace {

// Streams of random numbers, so that no two uses of a seed share one.
constexpr std::uint32_t kSampleStream = 0x6b6d0001u;
constexpr std::uint32_t kSeedStream = 0x6b6d0002u;

// Uniform in [0, 1), 53 bits.
double uniform(std::uint64_t index, std::uint32_t draw, std::uint32_t stream, base::PhiloxKey key) {
  const auto bits = base::philox(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), draw, stream},
      key);
  return static_cast<double>((std::uint64_t{bits[0]} << 21) ^ (bits[1] >> 11)) * 0x1p-53;
}

// The squared distance of each row from the nearest centroid so far, with its sums by block.
struct Potential {
  std::vector<float> distances;
  std::vector<double> block_sums;

  double total() const { return std::accumulate(block_sums.begin(), block_sums.end(), 0.0); }

  // The row at which the running sum of distances passes `target`.
  std::int64_t row_at(double target) const {
    std::size_t block = 0;
    for (; block + 1 < block_sums.size() && target >= block_sums[block]; ++block) {
      target -= block_sums[block];
    }
    const auto begin = static_cast<std::int64_t>(block) * base::kBlockRows;
    const auto end =
        std::min(begin + base::kBlockRows, static_cast<std::int64_t>(distances.size()));
    std::int64_t last = begin;  // rounding may leave the target beyond the block
    for (std::int64_t row = begin; row < end; ++row) {
      const double distance = distances[static_cast<std::size_t>(row)];
      if (distance > 0.0) last = row;
      if (target < distance) return row;
      target -= distance;
    }
    return last;
  }
};

}  // namespace

std::vector<std::int64_t> sample_rows(std::int64_t rows, std::int64_t count, std::uint64_t seed) {
  const base::PhiloxKey key = base::philox_key(seed);
  std::vector<std::int64_t> sample(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto edge = [&](std::int64_t index) {
      return static_cast<std::int64_t>(static_cast<double>(index) * static_cast<double>(rows) /
                                       static_cast<double>(count));
    };
    const std::int64_t begin = edge(i);
    const auto width = static_cast<double>(edge(i + 1) - begin);
    sample[static_cast<std::size_t>(i)] =
        begin + static_cast<std::int64_t>(
                    width * uniform(static_cast<std::uint64_t>(i), 0, kSampleStream, key));
  }
  return sample;
}

std::vector<float> copy_rows(const base::MatrixView& rows, std::span<const std::int64_t> indices) {
  std::vector<float> gathered(indices.size() * static_cast<std::size_t>(rows.dim));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    base::load_rows(rows, indices[i], 1, gathered.data() + i * static_cast<std::size_t>(rows.dim));
  }
  return gathered;
}

std::vector<float> spread_centroids(const base::MatrixView& rows, std::int64_t count,
                                    std::uint64_t seed, int threads) {
  const base::PhiloxKey key = base::philox_key(seed);
  const std::int64_t dim = rows.dim;
  std::vector<float> dense(static_cast<std::size_t>(rows.rows * dim));
  base::load_rows(rows, 0, rows.rows, dense.data());

  const auto blocks =
      static_cast<std::size_t>((rows.rows + base::kBlockRows - 1) / base::kBlockRows);
  Potential potential = {std::vector<float>(static_cast<std::size_t>(rows.rows),
                                            std::numeric_limits<float>::infinity()),
                         std::vector<double>(blocks)};
  threads = base::threads_for(rows.rows * dim, threads);
  std::vector<float> centroids;
  for (std::int64_t chosen = 0; chosen < count; ++chosen) {
    const double u = uniform(static_cast<std::uint64_t>(chosen), 0, kSeedStream, key);
    const std::int64_t row = chosen == 0
                                 ? static_cast<std::int64_t>(u * static_cast<double>(rows.rows))
                                 : potential.row_at(u * potential.total());
    const float* centroid = dense.data() + row * dim;
    centroids.insert(centroids.end(), centroid, centroid + dim);
    base::parallel_blocks(
        rows.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
          double sum = 0.0;
          for (std::int64_t i = begin; i < end; ++i) {
            float& distance = potential.distances[static_cast<std::size_t>(i)];
            distance = std::min(distance, squared_distance(dense.data() + i * dim, centroid, dim));
            sum += distance;
          }
          potential.block_sums[static_cast<std::size_t>(begin / base::kBlockRows)] = sum;
        });
  }
  return centroids;
}

}  // namespace emcomp::kmeans
