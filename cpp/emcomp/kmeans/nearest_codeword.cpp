#include "emcomp/kmeans/nearest_codeword.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "emcomp/base/errors.hpp"

namespace emcomp::kmeans {

namespace {

// A tile of kTileRows rows by kPanelVectors vectors of codewords fills the register file.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kPanelVectors = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kPanelVectors = 2;
#else
constexpr int kLanes = 4;
constexpr int kPanelVectors = 2;
#endif
constexpr int kTileRows = 6;
constexpr std::int64_t kPanelWidth = kLanes * kPanelVectors;
constexpr std::int64_t kSearchRows = 192;  // rows and a panel stay in the second-level cache

using Floats [[gnu::vector_size(kLanes * sizeof(float))]] = float;
using Ints [[gnu::vector_size(kLanes * sizeof(float))]] = std::int32_t;

Floats load(const float* from) {
  Floats out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

struct Best {
  Floats score;
  Floats second;
  Ints base;  // codeword = base + lane
};

Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
Floats larger(Floats a, Floats b) { return a < b ? b : a; }

template <int kVectors>
using TileSums = Floats[kTileRows][kVectors];

template <Products kProducts>
Floats subtract_product(Floats sum, float factor, Floats values) {
  if constexpr (kProducts == Products::kFused) {
#if defined(__AVX512F__)
    return _mm512_fnmadd_ps(_mm512_set1_ps(factor), values, sum);
#elif defined(__FMA__)
    return _mm256_fnmadd_ps(_mm256_set1_ps(factor), values, sum);
#endif
  }
  return sum - factor * values;
}

// Takes the products of a tile of rows and a panel of codewords off the sums.
template <Products kProducts, int kVectors>
[[gnu::always_inline]] inline void subtract_products(const float* const (&rows)[kTileRows],
                                                     const float* panel, std::int64_t dim,
                                                     TileSums<kVectors>& sums) {
  for (std::int64_t j = 0; j < dim; ++j, panel += kVectors * kLanes) {
    Floats codewords[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) codewords[v] = load(panel + v * kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = subtract_product<kProducts>(sums[r][v], rows[r][j], codewords[v]);
      }
    }
  }
}

template <Products kProducts, int kVectors, bool kSecond>
void search_panel(const float* const (&rows)[kTileRows], const float* panel,
                  const float* half_norms, std::int64_t dim, std::int32_t base, Best* best) {
  TileSums<kVectors> sums;
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[r][v] = load(half_norms + v * kLanes);
  }
  subtract_products<kProducts, kVectors>(rows, panel, dim, sums);
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) {
    Best found = best[r];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (kSecond) {
        found.second = smaller(found.second, larger(found.score, sums[r][v]));
      }
      const Ints nearer = sums[r][v] < found.score;
      found.score = nearer ? sums[r][v] : found.score;
      found.base = nearer ? (base + v * kLanes) + Ints{} : found.base;
    }
    best[r] = found;
  }
}

// Each lane and the lane kStep further on, in a cycle.
template <int kStep, class Vector, int... kLane>
Vector turned(Vector lanes, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(lanes, lanes, (kLane + kStep) % kLanes...);
}

template <int kStep, bool kSecond>
void merge_lanes(Best& best) {
  constexpr auto kAll = std::make_integer_sequence<int, kLanes>();
  const Floats score = turned<kStep>(best.score, kAll);
  if constexpr (kSecond) {
    best.second =
        smaller(smaller(best.second, turned<kStep>(best.second, kAll)), larger(best.score, score));
  }
  best.score = smaller(best.score, score);
}

template <int kStep>
void least_lane(Ints& lanes) {
  const Ints other = turned<kStep>(lanes, std::make_integer_sequence<int, kLanes>());
  lanes = other < lanes ? other : lanes;
}

// Calls step with 8, 4, 2 and 1, as far as there are lanes for it.
template <class Step>
void for_halves(const Step& step) {
  if constexpr (kLanes >= 16) step(std::integral_constant<int, 8>());
  if constexpr (kLanes >= 8) step(std::integral_constant<int, 4>());
  step(std::integral_constant<int, 2>());
  step(std::integral_constant<int, 1>());
}

// The best of the lanes; the smallest index where several are equal.
template <bool kSecond>
NearestTwo reduce(Best best) {
  Ints lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  const Floats scores = best.score;
  for_halves([&](auto step) { merge_lanes<step, kSecond>(best); });
  Ints index =
      scores == best.score ? best.base + lane : Ints{} + std::numeric_limits<std::int32_t>::max();
  for_halves([&](auto step) { least_lane<step>(index); });
  return {index[0], best.score[0], best.second[0]};
}

// The rows to search: those listed, or all in turn where no list is given.
struct Rows {
  const float* first;
  std::int64_t stride;
  const std::int32_t* list;
  std::int64_t count;

  const float* operator[](std::int64_t i) const { return first + (list ? list[i] : i) * stride; }
};

template <Products kProducts, int kVectors, bool kSecond>
void search_tiles(const Rows& rows, const float* panel, const float* half_norms, std::int64_t dim,
                  std::int32_t base, Best* best) {
  for (std::int64_t tile = 0; tile < rows.count; tile += kTileRows) {
    const float* pointers[kTileRows];  // a short tile repeats its last row
    for (int r = 0; r < kTileRows; ++r) pointers[r] = rows[std::min(tile + r, rows.count - 1)];
    search_panel<kProducts, kVectors, kSecond>(pointers, panel, half_norms, dim, base, best + tile);
  }
}

// Products of all rows and the first `codewords` of a panel.
template <int kVectors>
void multiply_tiles(const Rows& rows, const float* panel, std::int64_t dim, std::int64_t codewords,
                    float* out, std::int64_t out_stride) {
  for (std::int64_t tile = 0; tile < rows.count; tile += kTileRows) {
    const float* pointers[kTileRows];  // a short tile repeats its last row
    for (int r = 0; r < kTileRows; ++r) pointers[r] = rows[std::min(tile + r, rows.count - 1)];
    TileSums<kVectors> sums{};
    subtract_products<Products::kPortable, kVectors>(pointers, panel, dim, sums);
    for (std::int64_t r = 0; r < std::min<std::int64_t>(kTileRows, rows.count - tile); ++r) {
      float products[kVectors * kLanes];
      for (int v = 0; v < kVectors; ++v) {
        const Floats product = -sums[r][v];
        std::memcpy(products + v * kLanes, &product, sizeof product);
      }
      std::copy_n(products, codewords, out + (tile + r) * out_stride);
    }
  }
}

}  // namespace

NearestCodeword::NearestCodeword(const float* codewords, std::int64_t count, std::int64_t dim)
    : count_(count), dim_(dim) {
  const std::int64_t padded = (count + kLanes - 1) / kLanes * kLanes;
  panels_.assign(static_cast<std::size_t>(padded * dim), 0.0f);
  half_norms_.assign(static_cast<std::size_t>(padded), std::numeric_limits<float>::infinity());
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t panel = i / kPanelWidth * kPanelWidth;
    const std::int64_t width = std::min(kPanelWidth, padded - panel);
    double norm = 0.0;
    for (std::int64_t j = 0; j < dim; ++j) {
      const float value = codewords[i * dim + j];
      norm += static_cast<double>(value) * value;
      panels_[static_cast<std::size_t>(panel * dim + j * width + i - panel)] = value;
    }
    half_norms_[static_cast<std::size_t>(i)] = static_cast<float>(0.5 * norm);
  }
}

template <Products kProducts, bool kSecond, class Write>
void NearestCodeword::search_all(const float* rows, std::int64_t row_stride,
                                 const std::int32_t* list, std::int64_t count,
                                 const Write& write) const {
  const auto padded = static_cast<std::int64_t>(half_norms_.size());
  const Floats infinite = Floats{} + std::numeric_limits<float>::infinity();
  Best best[kSearchRows];
  for (std::int64_t begin = 0; begin < count; begin += kSearchRows) {
    const Rows here = {list ? rows : rows + begin * row_stride, row_stride,
                       list ? list + begin : nullptr, std::min(kSearchRows, count - begin)};
    std::fill_n(best, (here.count + kTileRows - 1) / kTileRows * kTileRows,
                Best{infinite, infinite, Ints{}});
    for (std::int64_t panel = 0; panel < padded; panel += kPanelWidth) {
      const auto vectors = static_cast<int>(std::min(kPanelWidth, padded - panel) / kLanes);
      const auto search = vectors == 1   ? search_tiles<kProducts, 1, kSecond>
                          : vectors == 2 ? search_tiles<kProducts, 2, kSecond>
                          : vectors == 3 ? search_tiles<kProducts, 3, kSecond>
                                         : search_tiles<kProducts, kPanelVectors, kSecond>;
      search(here, panels_.data() + panel * dim_, half_norms_.data() + panel, dim_,
             static_cast<std::int32_t>(panel), best);
    }
    for (std::int64_t r = 0; r < here.count; ++r) write(begin + r, reduce<kSecond>(best[r]));
  }
}

void NearestCodeword::search(const float* rows, std::int64_t row_stride, std::int64_t count,
                             Products products, std::int32_t* indices) const {
  const auto write = [&](std::int64_t i, const NearestTwo& nearest) { indices[i] = nearest.index; };
  if (products == Products::kFused) {
    search_all<Products::kFused, false>(rows, row_stride, nullptr, count, write);
  } else {
    search_all<Products::kPortable, false>(rows, row_stride, nullptr, count, write);
  }
}

void NearestCodeword::products(const float* rows, std::int64_t row_stride, std::int64_t count,
                               float* out) const {
  const auto padded = static_cast<std::int64_t>(half_norms_.size());
  const Rows all = {rows, row_stride, nullptr, count};
  for (std::int64_t panel = 0; panel < padded; panel += kPanelWidth) {
    const std::int64_t width = std::min(kPanelWidth, padded - panel);
    const std::int64_t codewords = std::min(width, count_ - panel);
    const auto vectors = static_cast<int>(width / kLanes);
    const auto multiply = vectors == 1   ? multiply_tiles<1>
                          : vectors == 2 ? multiply_tiles<2>
                          : vectors == 3 ? multiply_tiles<3>
                                         : multiply_tiles<kPanelVectors>;
    multiply(all, panels_.data() + panel * dim_, dim_, codewords, out + panel, count_);
  }
}

void NearestCodeword::search_two(const float* rows, std::int64_t row_stride,
                                 std::span<const std::int32_t> list, Products products,
                                 NearestTwo* out) const {
  const auto count = static_cast<std::int64_t>(list.size());
  const auto write = [&](std::int64_t i, const NearestTwo& nearest) { out[i] = nearest; };
  if (products == Products::kFused) {
    search_all<Products::kFused, true>(rows, row_stride, list.data(), count, write);
  } else {
    search_all<Products::kPortable, true>(rows, row_stride, list.data(), count, write);
  }
}

namespace {

// Adds up term(0) .. term(dim - 1) in an order that suits vectors and depends on dim alone.
template <class Term>
float sum_in_parts(std::int64_t dim, const Term& term) {
  constexpr int kParts = 16;
  if (dim < kParts) {
    float sum = 0.0f;
    for (std::int64_t j = 0; j < dim; ++j) sum += term(j);
    return sum;
  }
  float parts[kParts] = {};
  std::int64_t j = 0;
  for (; j + kParts <= dim; j += kParts) {
    for (int p = 0; p < kParts; ++p) parts[p] += term(j + p);
  }
  for (int p = 0; j < dim; ++j, ++p) parts[p] += term(j);
  for (int half = kParts / 2; half > 0; half /= 2) {
    for (int p = 0; p < half; ++p) parts[p] += parts[p + half];
  }
  return parts[0];
}

[[noreturn]] void reject_row(const float* row, std::int64_t dim, std::int64_t index) {
  for (std::int64_t j = 0; j < dim; ++j) {
    if (!std::isfinite(row[j])) {
      throw InputError("row " + std::to_string(index) + ", column " + std::to_string(j) +
                       " is not finite");
    }
  }
  throw InputError("row " + std::to_string(index) +
                   " is so long that its squared norm overflows float32: scale the rows down");
}

}  // namespace

float squared_distance(const float* a, const float* b, std::int64_t dim) {
  return sum_in_parts(dim, [&](std::int64_t j) { return (a[j] - b[j]) * (a[j] - b[j]); });
}

float checked_squared_norm(const float* row, std::int64_t dim, std::int64_t index) {
  const float norm = sum_in_parts(dim, [&](std::int64_t j) { return row[j] * row[j]; });
  if (!(norm < std::numeric_limits<float>::max() / 16)) reject_row(row, dim, index);
  return norm;
}

}  // namespace emcomp::kmeans
