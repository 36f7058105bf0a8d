#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "emcomp/base/random.hpp"
#include "emcomp/simd/lanes.hpp"
#include "emcomp/transforms/linear_map.hpp"

namespace emcomp::transforms {

namespace {

using simd::Floats;
using simd::kLanes;

// One stage of the transform within a vector: lanes `kHalf` apart become their sum and difference.
template <int kHalf, std::size_t... kLane>
Floats butterfly(Floats values, std::index_sequence<kLane...>) {
  constexpr Floats kSigns = {(kLane & kHalf ? -1.0f : 1.0f)...};
  return __builtin_shufflevector(values, values, (kLane ^ kHalf)...) + values * kSigns;
}

template <int kHalf = 1>
Floats butterflies(Floats values) {
  if constexpr (kHalf < kLanes) {
    return butterflies<2 * kHalf>(
        butterfly<kHalf>(values, std::make_index_sequence<std::size_t{kLanes}>()));
  } else {
    return values;
  }
}

// The unnormalised Walsh-Hadamard transform of fewer values than a vector has, in place.
void short_hadamard(float* values, std::int64_t size) {
  for (std::int64_t half = 1; half < size; half *= 2) {
    for (std::int64_t i = 0; i < size; ++i) {
      if (i & half) continue;
      const float sum = values[i] + values[i + half];
      values[i + half] = values[i] - values[i + half];
      values[i] = sum;
    }
  }
}

// The same of any power of two of values.
void hadamard(float* values, std::int64_t size) {
  if (size < kLanes) return short_hadamard(values, size);
  for (std::int64_t i = 0; i < size; i += kLanes) {
    simd::store(values + i, butterflies(simd::load(values + i)));
  }
  for (std::int64_t half = kLanes; half < size; half *= 2) {
    for (std::int64_t first = 0; first < size; first += 2 * half) {
      float* low = values + first;
      float* high = low + half;
      for (std::int64_t i = 0; i < half; i += kLanes) {
        const Floats a = simd::load(low + i);
        const Floats b = simd::load(high + i);
        simd::store(low + i, a + b);
        simd::store(high + i, a - b);
      }
    }
  }
}

class Rotation final : public LinearMap {
 public:
  Rotation(std::int64_t dim, std::uint64_t seed, bool inverse)
      : LinearMap(dim, dim),
        size_(static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(dim)))),
        rounds_(size_ == dim ? 2 : 4),
        inverse_(inverse) {
    constexpr std::uint32_t kStream = 0x726f7461;
    const base::PhiloxKey key = base::philox_key(seed);
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(size_)));
    signs_.resize(static_cast<std::size_t>(rounds_ * size_));
    for (std::int64_t i = 0; i < rounds_ * size_; ++i) {
      const base::PhiloxCounter random = base::row_random(key, i, 0, kStream);
      signs_[static_cast<std::size_t>(i)] = random[0] & 1u ? -scale : scale;
    }
  }

  void apply(const float* rows, std::int64_t count, float* out) const override {
    run(rows, count, out, inverse_);
  }

  void apply_transposed(const float* row, float* out) const override {
    run(row, 1, out, !inverse_);
  }

 private:
  void run(const float* rows, std::int64_t count, float* out, bool inverse) const {
    std::copy_n(rows, count * inputs(), out);
    for (std::int64_t r = 0; r < count; ++r, out += inputs()) {
      for (std::int64_t step = 0; step < rounds_; ++step) {
        const std::int64_t round = inverse ? rounds_ - 1 - step : step;
        float* part = round % 2 == 0 ? out : out + inputs() - size_;
        const float* signs = signs_.data() + round * size_;
        if (inverse) hadamard(part, size_);
        for (std::int64_t i = 0; i < size_; ++i) part[i] *= signs[i];
        if (!inverse) hadamard(part, size_);
      }
    }
  }

  std::int64_t size_;
  std::int64_t rounds_;
  bool inverse_;
  std::vector<float> signs_;  // [rounds, size], with the transform's scale
};

}  // namespace

std::shared_ptr<const LinearMap> make_rotation(std::int64_t dim, std::uint64_t seed, bool inverse) {
  return std::make_shared<Rotation>(dim, seed, inverse);
}

}  // namespace emcomp::transforms
