#include <algorithm>
#include <bit>
#include <cmath>

#include "emcomp/linear_map.hpp"
#include "emcomp/random.hpp"

namespace emcomp {

namespace {

// The unnormalised Walsh-Hadamard transform of `size` values, a power of two, in place.
void hadamard(float* values, std::int64_t size) {
  for (std::int64_t half = 1; half < size; half *= 2) {
    for (std::int64_t first = 0; first < size; first += 2 * half) {
      float* low = values + first;
      float* high = low + half;
      for (std::int64_t i = 0; i < half; ++i) {
        const float sum = low[i] + high[i];
        high[i] = low[i] - high[i];
        low[i] = sum;
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
    const PhiloxKey key = philox_key(seed);
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(size_)));
    signs_.resize(static_cast<std::size_t>(rounds_ * size_));
    for (std::int64_t i = 0; i < rounds_ * size_; ++i) {
      const PhiloxCounter random = row_random(key, i, 0, kStream);
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

}  // namespace emcomp
