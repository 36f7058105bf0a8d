// From rows of a table to the latents that a quantizer encodes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/transforms/linear_map.hpp"

namespace emcomp::transforms {

enum class LatentScaling : std::uint8_t {
  kNone,
  kRow,     // each row of latents over its root mean square, which is stored
  kLength,  // each row of latents such that the decoded row is as long as the original
};

// latents = (row - centre) * encoder, then scaled.
struct LatentMap {
  std::shared_ptr<const LinearMap> encoder;  // dim -> latents
  std::shared_ptr<const LinearMap> decoder;  // latents -> dim, read for kLength only
  std::vector<float> centre;                 // [dim], or empty for zero
  LatentScaling scaling = LatentScaling::kNone;
  float gain = 1.0f;              // a stored scale of 1 stands for this root mean square
  std::vector<float> importance;  // [latents], of their squares in that mean; empty where equal
};

// Latents [rows, latents] of all rows; scales (float16 bits [rows]) for kRow only.
void encode_latents(const base::MatrixView& rows, const LatentMap& map, float* latents,
                    std::uint16_t* scales, int threads);

// Adds a bias [dim] to rows [rows, dim] and takes ELU of the sums, in place.
void activate_latents(float* latents, std::int64_t rows, std::int64_t dim, const float* bias,
                      int threads);

// Rows over the square root of |row| |row * projection| (of |row|^2 where there is no projection),
// times the square root of their weight: what the re-weighted Gram sum of a direction-preserving
// projection adds up. Weights may be null. Returns the weighted sum of |row * projection| / |row|.
double reweight_rows(const base::MatrixView& rows, const LinearMap* projection,
                     const float* weights, float* out, int threads);

}  // namespace emcomp::transforms
