#include "emcomp/transforms/latents.hpp"

#include <algorithm>
#include <cmath>

#include "emcomp/base/half.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/networks/elu.hpp"

namespace emcomp::transforms {

namespace {

constexpr float kSmallestHalf = 0x1p-24f;
constexpr float kLargestHalf = 65504.0f;

// Below this cosine a row counts as if it had it: a row across the projection does not decide all.
constexpr double kLeastCosine = 1e-3;

double length(const float* row, std::int64_t dim) {
  double sum = 0.0;
  for (std::int64_t c = 0; c < dim; ++c) {
    sum += static_cast<double>(row[c]) * static_cast<double>(row[c]);
  }
  return std::sqrt(sum);
}

double weighted_length(const float* row, const std::vector<float>& weights) {
  double sum = 0.0;
  for (std::size_t c = 0; c < weights.size(); ++c) {
    sum +=
        static_cast<double>(row[c]) * static_cast<double>(row[c]) * static_cast<double>(weights[c]);
  }
  return std::sqrt(sum);
}

void multiply(float* row, std::int64_t dim, float factor) {
  for (std::int64_t c = 0; c < dim; ++c) row[c] *= factor;
}

// Divides a row of latents by a scale that float16 can hold. Rounding the scale loses nothing.
std::uint16_t scale_row(float* row, std::int64_t dim, const LatentMap& map) {
  const float gain = map.gain;
  const double root =
      map.importance.empty() ? length(row, dim) : weighted_length(row, map.importance);
  const double wanted = root / std::sqrt(static_cast<double>(dim)) / static_cast<double>(gain);
  if (!(wanted > 0.0)) return 0;
  const auto held = std::clamp(static_cast<float>(wanted), kSmallestHalf, kLargestHalf);
  const std::uint16_t stored = base::half_from_float(held);
  const float scale = base::float_from_half(stored) * gain;
  for (std::int64_t c = 0; c < dim; ++c) row[c] /= scale;
  return stored;
}

}  // namespace

void encode_latents(const base::MatrixView& rows, const LatentMap& map, float* latents,
                    std::uint16_t* scales, int threads) {
  const std::int64_t dim = rows.dim;
  const std::int64_t width = map.encoder->outputs();
  base::parallel_blocks(rows.rows, base::kBlockRows, base::threads_for(rows.rows * dim, threads),
                        [&](std::int64_t begin, std::int64_t end) {
                          const std::int64_t count = end - begin;
                          std::vector<float> block(static_cast<std::size_t>(count * dim));
                          base::load_rows(rows, begin, count, block.data());
                          std::vector<double> lengths;
                          if (map.scaling == LatentScaling::kLength) {
                            for (std::int64_t r = 0; r < count; ++r) {
                              lengths.push_back(length(block.data() + r * dim, dim));
                            }
                          }
                          if (!map.centre.empty()) {
                            for (std::int64_t r = 0; r < count; ++r) {
                              float* row = block.data() + r * dim;
                              for (std::int64_t c = 0; c < dim; ++c)
                                row[c] -= map.centre[static_cast<std::size_t>(c)];
                            }
                          }
                          float* out = latents + begin * width;
                          map.encoder->apply(block.data(), count, out);
                          if (map.scaling == LatentScaling::kRow) {
                            for (std::int64_t r = 0; r < count; ++r) {
                              scales[begin + r] = scale_row(out + r * width, width, map);
                            }
                          } else if (map.scaling == LatentScaling::kLength) {
                            map.decoder->apply(out, count, block.data());
                            for (std::int64_t r = 0; r < count; ++r) {
                              const double decoded = length(block.data() + r * dim, dim);
                              const double wanted = lengths[static_cast<std::size_t>(r)];
                              if (decoded > 0.0) {
                                multiply(out + r * width, width,
                                         static_cast<float>(wanted / decoded));
                              }
                            }
                          }
                        });
}

void activate_latents(float* latents, std::int64_t rows, std::int64_t dim, const float* bias,
                      int threads) {
  base::parallel_blocks(rows, base::kBlockRows, base::threads_for(rows * dim, threads),
                        [&](std::int64_t begin, std::int64_t end) {
                          float* row = latents + begin * dim;
                          for (std::int64_t r = begin; r < end; ++r, row += dim) {
                            for (std::int64_t c = 0; c < dim; ++c) row[c] += bias[c];
                            networks::apply_elu(row, dim);
                          }
                        });
}

double reweight_rows(const base::MatrixView& rows, const LinearMap* projection,
                     const float* weights, float* out, int threads) {
  const std::int64_t dim = rows.dim;
  const std::int64_t blocks = (rows.rows + base::kBlockRows - 1) / base::kBlockRows;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  base::parallel_blocks(
      rows.rows, base::kBlockRows, base::threads_for(rows.rows * dim, threads),
      [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t count = end - begin;
        float* block = out + begin * dim;
        base::load_rows(rows, begin, count, block);
        const std::int64_t width = projection == nullptr ? 0 : projection->outputs();
        std::vector<float> latents(static_cast<std::size_t>(count * width));
        if (projection != nullptr) projection->apply(block, count, latents.data());
        double sum = 0.0;
        for (std::int64_t r = 0; r < count; ++r) {
          const double whole = length(block + r * dim, dim);
          if (!(whole > 0.0)) continue;
          double cosine = 1.0;
          if (projection != nullptr) cosine = length(latents.data() + r * width, width) / whole;
          const double weight = weights == nullptr ? 1.0 : static_cast<double>(weights[begin + r]);
          sum += weight * cosine;
          const double shrink = std::sqrt(weight / std::max(cosine, kLeastCosine)) / whole;
          multiply(block + r * dim, dim, static_cast<float>(shrink));
        }
        sums[static_cast<std::size_t>(begin / base::kBlockRows)] = sum;
      });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace emcomp::transforms
