#include <algorithm>

#include "emcomp/simd/lanes.hpp"
#include "emcomp/transforms/linear_map.hpp"

namespace emcomp::transforms {

namespace {

using simd::Floats;
using simd::kLanes;

// A tile of kRowsTogether x kVectors sums stays in registers.
#if defined(EMCOMP_SIMD_512)
constexpr std::int64_t kVectors = 4;
#else
constexpr std::int64_t kVectors = 2;
#endif
constexpr std::int64_t kRowsTogether = 4;
constexpr std::int64_t kPanel = kVectors * kLanes;

class DenseMap final : public LinearMap {
 public:
  DenseMap(const float* matrix, std::int64_t inputs, std::int64_t outputs)
      : LinearMap(inputs, outputs), panels_((outputs + kPanel - 1) / kPanel) {
    packed_.resize(static_cast<std::size_t>(panels_ * inputs * kPanel));
    for (std::int64_t p = 0; p < panels_; ++p) {
      const std::int64_t width = std::min(kPanel, outputs - p * kPanel);
      float* to = packed_.data() + p * inputs * kPanel;
      for (std::int64_t i = 0; i < inputs; ++i) {
        std::copy_n(matrix + i * outputs + p * kPanel, width, to + i * kPanel);
      }
    }
  }

  void apply(const float* rows, std::int64_t count, float* out) const override {
    for (std::int64_t p = 0; p < panels_; ++p) {
      std::int64_t r = 0;
      for (; r + kRowsTogether <= count; r += kRowsTogether) tile<kRowsTogether>(rows, r, p, out);
      for (; r < count; ++r) tile<1>(rows, r, p, out);
    }
  }

  void apply_transposed(const float* row, float* out) const override {
    for (std::int64_t i = 0; i < inputs(); ++i) {
      double sum = 0.0;
      for (std::int64_t c = 0; c < outputs(); ++c) {
        const float entry =
            packed_[static_cast<std::size_t>((c / kPanel * inputs() + i) * kPanel + c % kPanel)];
        sum += static_cast<double>(row[c]) * static_cast<double>(entry);
      }
      out[i] = static_cast<float>(sum);
    }
  }

 private:
  // Sums run over the inputs in order, one product after another.
  template <std::int64_t kRows>
  void tile(const float* rows, std::int64_t first, std::int64_t index, float* out) const {
    const float* panel = packed_.data() + index * inputs() * kPanel;
    Floats sums[kRows][kVectors] = {};
    for (std::int64_t i = 0; i < inputs(); ++i) {
      Floats entries[kVectors];
      for (std::int64_t v = 0; v < kVectors; ++v) {
        entries[v] = simd::load(panel + i * kPanel + v * kLanes);
      }
      for (std::int64_t r = 0; r < kRows; ++r) {
        const Floats value = simd::broadcast(rows[(first + r) * inputs() + i]);
        for (std::int64_t v = 0; v < kVectors; ++v) sums[r][v] += value * entries[v];
      }
    }
    for (std::int64_t r = 0; r < kRows; ++r) {
      float* to = out + (first + r) * outputs();
      for (std::int64_t v = 0; v < kVectors; ++v) {
        const std::int64_t column = index * kPanel + v * kLanes;
        if (column + kLanes <= outputs()) {
          simd::store(to + column, sums[r][v]);
        } else if (column < outputs()) {
          simd::store_first(to + column, sums[r][v], outputs() - column);
        }
      }
    }
  }

  std::int64_t panels_;
  std::vector<float> packed_;  // [panels, inputs, kPanel], zeros past the last output
};

}  // namespace

std::shared_ptr<const LinearMap> make_dense_map(const float* matrix, std::int64_t inputs,
                                                std::int64_t outputs) {
  return std::make_shared<DenseMap>(matrix, inputs, outputs);
}

}  // namespace emcomp::transforms
