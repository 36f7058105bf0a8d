#include "emcomp/codes/uniform.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "emcomp/base/parallel.hpp"
#include "emcomp/base/random.hpp"
#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::codes {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kChunkBytes;
using simd::kLanes;

// In units of steps above the lowest level: between 0 and 2^b - 1.
template <int kBits>
Floats position(Floats values, Floats step) {
  constexpr float kHalf = ((1 << kBits) - 1) / 2.0f;
  const Floats quotient = values / step;
  return simd::minimum(simd::maximum(quotient, simd::broadcast(-kHalf)), simd::broadcast(kHalf)) +
         kHalf;
}

template <int kBits>
Ints nearest_codes(Floats values, Floats step) {
  const Ints codes = simd::to_ints(simd::round_half_even(position<kBits>(values, step)));
  return step == 0.0f ? Ints{} + (1 << (kBits - 1)) : codes;
}

template <int kBits>
Ints stochastic_codes(Floats values, Floats step, Floats random) {
  const Floats where = position<kBits>(values, step);
  const Ints below = simd::to_ints(where);
  const Floats fraction = where - simd::to_floats(below);
  // A comparison gives -1 where it holds.
  return step == 0.0f ? Ints{} + (1 << (kBits - 1)) : below - (random < fraction);
}

void fill_random(base::PhiloxKey key, std::int64_t row, std::int64_t dim, float* random) {
  for (std::int64_t c = 0; c < dim; c += 4) {
    const base::PhiloxCounter four = base::row_random(key, row, static_cast<std::uint32_t>(c / 4));
    for (std::size_t lane = 0; lane < 4; ++lane) random[c + lane] = base::unit_float(four[lane]);
  }
}

}  // namespace

void choose_row_steps(const base::MatrixView& matrix, int bits, std::int64_t group,
                      Clipping clipping, float* steps, int threads) {
  const std::int64_t dim = matrix.dim;
  const std::int64_t groups = (dim + group - 1) / group;
  base::parallel_blocks(matrix.rows, 64, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(static_cast<std::size_t>(dim));
    for (std::int64_t r = begin; r < end; ++r) {
      const float* row = base::rows_as_float(matrix, r, 1, scratch.data());
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::int64_t first = g * group;
        steps[r * groups + g] = static_cast<float>(
            choose_step(row + first, std::min(group, dim - first), bits, clipping));
      }
    }
  });
}

void encode_uniform(const base::MatrixView& matrix, std::int64_t first_row, int bits,
                    StepLayout layout, const float* steps, Rounding rounding, std::uint8_t* packed,
                    int threads) {
  const std::int64_t dim = matrix.dim;
  const std::int64_t bytes = packing::row_bytes(dim, bits);
  const std::int64_t padded = (dim + kLanes - 1) / kLanes * kLanes;
  const base::PhiloxKey key = base::philox_key(rounding.seed);
  packing::for_bits(bits, [&](auto width) {
    constexpr int kBits = width;
    base::parallel_blocks(
        matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
          std::vector<float> scratch(matrix.is_plain() ? 0 : static_cast<std::size_t>(dim));
          std::vector<float> row_steps(static_cast<std::size_t>(padded), 0.0f);
          std::vector<float> random(static_cast<std::size_t>(rounding.stochastic ? padded + 4 : 0));
          // Packing writes past a chunk's end, so a row is packed aside and then copied.
          std::vector<std::uint8_t> row_codes(static_cast<std::size_t>(bytes) + 4 * kLanes);
          for (std::int64_t r = begin; r < end; ++r) {
            if (r == begin || layout.row_stride > 0) {
              const float* row_first = steps + r * layout.row_stride;
              for (std::int64_t c = 0, g = 0; c < dim; ++g) {
                const std::int64_t group_end = std::min(c + layout.group, dim);
                for (; c < group_end; ++c) row_steps[static_cast<std::size_t>(c)] = row_first[g];
              }
            }
            if (rounding.stochastic) fill_random(key, first_row + r, dim, random.data());
            const float* row = base::rows_as_float(matrix, r, 1, scratch.data());
            std::uint8_t* target = row_codes.data();
            for (std::int64_t c = 0; c < padded; c += kLanes, target += kChunkBytes<kBits>) {
              const Floats values =
                  c + kLanes <= dim ? simd::load(row + c) : simd::load_first(row + c, dim - c);
              const Floats step = simd::load(row_steps.data() + c);
              Ints codes = rounding.stochastic ? stochastic_codes<kBits>(
                                                     values, step, simd::load(random.data() + c))
                                               : nearest_codes<kBits>(values, step);
              if (c + kLanes > dim) {  // unused bits are zero
                // NOLINTNEXTLINE(clang-analyzer-security.ArrayBound): c < dim wherever c < padded
                for (std::int64_t lane = dim - c; lane < kLanes; ++lane) codes[lane] = 0;
              }
              simd::pack<kBits>(codes, target);
            }
            std::memcpy(packed + r * bytes, row_codes.data(), static_cast<std::size_t>(bytes));
          }
        });
  });
}

NonFinite find_nonfinite(const base::MatrixView& matrix, int threads) {
  const std::int64_t blocks = (matrix.rows + base::kBlockRows - 1) / base::kBlockRows;
  std::vector<NonFinite> found(static_cast<std::size_t>(blocks));
  base::parallel_blocks(
      matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> scratch(
            matrix.is_plain() ? 0 : static_cast<std::size_t>((end - begin) * matrix.dim));
        const float* rows = base::rows_as_float(matrix, begin, end - begin, scratch.data());
        const std::int64_t entries = (end - begin) * matrix.dim;
        std::uint32_t largest =
            0;  // a magnitude's bits grow with it, and are largest where not finite
        for (std::int64_t i = 0; i < entries; ++i) {
          largest = std::max(largest, std::bit_cast<std::uint32_t>(rows[i]) & 0x7fffffffu);
        }
        NonFinite& block = found[static_cast<std::size_t>(begin / base::kBlockRows)];
        block.largest = std::bit_cast<float>(largest);
        if (largest < 0x7f800000u) return;
        for (std::int64_t i = 0; i < entries; ++i) {
          if (std::isfinite(rows[i])) continue;
          if (block.count++ == 0) block.first = begin * matrix.dim + i;
        }
      });
  NonFinite all;
  for (const NonFinite& block : found) {
    if (all.first < 0) all.first = block.first;
    all.count += block.count;
    all.largest = std::max(all.largest, block.largest);
  }
  return all;
}

}  // namespace emcomp::codes
