#include "emcomp/statistics/panels.hpp"

#include <algorithm>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace emcomp::statistics {

namespace {

// Packed float64 numbers; fused multiply-add where the processor has it.
#if defined(__AVX512F__)
using Packed = __m512d;
Packed broadcast(double value) { return _mm512_set1_pd(value); }
Packed multiply_add(Packed a, Packed b, Packed c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__AVX2__)
using Packed = __m256d;
Packed broadcast(double value) { return _mm256_set1_pd(value); }
Packed multiply_add(Packed a, Packed b, Packed c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined(__aarch64__)
using Packed = float64x2_t;
Packed broadcast(double value) { return vdupq_n_f64(value); }
Packed multiply_add(Packed a, Packed b, Packed c) { return vfmaq_f64(c, a, b); }
#else
using Packed = double __attribute__((vector_size(16)));
Packed broadcast(double value) { return Packed{value, value}; }
Packed multiply_add(Packed a, Packed b, Packed c) { return a * b + c; }
#endif

constexpr int kLanes = sizeof(Packed) / sizeof(double);
constexpr int kPanelVectors = kPanelWidth / kLanes;

Packed load(const double* values) {
  Packed packed;
  std::memcpy(&packed, values, sizeof packed);
  return packed;
}

std::int64_t round_up(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

// sum[i, j] += sum over rows r of a[r, i] b[r, j], for one panel of a and kPanels panels of b.
template <int kPanels>
void add_tile(const double* a, const double* b, std::int64_t b_stride, std::int64_t rows,
              double* sum, std::int64_t sum_stride) {
  constexpr int kTileVectors = kPanels * kPanelVectors;
  Packed totals[kPanelWidth][kTileVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kPanelWidth; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) totals[i][v] = load(sum + i * sum_stride + v * kLanes);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    Packed right[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      right[v] = load(b + (v / kPanelVectors) * b_stride + (v % kPanelVectors) * kLanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kPanelWidth; ++i) {
      const Packed left = broadcast(a[i]);
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; ++v) {
        totals[i][v] = multiply_add(left, right[v], totals[i][v]);
      }
    }
    a += kPanelWidth;
    b += kPanelWidth;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kPanelWidth; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      std::memcpy(sum + i * sum_stride + v * kLanes, &totals[i][v], sizeof(Packed));
    }
  }
}

}  // namespace

Panels::Panels(std::int64_t width, std::int64_t most_rows)
    : width_(width),
      most_rows_(most_rows),
      values_(Eigen::VectorXd::Zero(round_up(width, kPanelWidth) * most_rows)) {}

void Panels::pack(const RowsView& rows) {
  rows_ = rows.rows();
  double* const panels = values_.data();
  const std::int64_t whole = width_ / kPanelWidth;
  const std::int64_t rest = width_ % kPanelWidth;
  for (std::int64_t r = 0; r < rows_; ++r) {
    const double* row = rows.data() + r * width_;
    double* target = panels + r * kPanelWidth;
    for (std::int64_t p = 0; p < whole; ++p, target += most_rows_ * kPanelWidth) {
      std::memcpy(target, row + p * kPanelWidth, kPanelWidth * sizeof(double));
    }
    std::copy_n(row + whole * kPanelWidth, rest, target);
  }
}

ProductSum::ProductSum(std::int64_t rows, std::int64_t columns)
    : rows_(rows),
      columns_(columns),
      values_(round_up(rows, kPanelWidth), round_up(columns, kPanelWidth)) {}

void ProductSum::add(const Panels& a, const Panels& b, bool upper) {
  const std::int64_t stride = values_.cols();
  const std::int64_t a_panels = values_.rows() / kPanelWidth;
  const std::int64_t b_panels = values_.cols() / kPanelWidth;
  for (std::int64_t tile = 0; tile < b_panels; tile += kTilePanels) {
    const std::int64_t tile_end = std::min(tile + kTilePanels, b_panels);
    for (std::int64_t i = 0; i < (upper ? std::min(a_panels, tile_end) : a_panels); ++i) {
      const std::int64_t j = upper ? std::max(tile, i) : tile;
      double* sum = values_.data() + (i * stride + j) * kPanelWidth;
      const auto add = tile_end - j == 1   ? add_tile<1>
                       : tile_end - j == 2 ? add_tile<2>
                                           : add_tile<kTilePanels>;
      add(a.panel(i), b.panel(j), b.stride(), a.rows(), sum, stride);
    }
  }
}

}  // namespace emcomp::statistics
