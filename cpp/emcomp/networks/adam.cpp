#include "emcomp/networks/adam.hpp"

#include <cmath>

#include "emcomp/base/parallel.hpp"

namespace emcomp::networks {

namespace {

using Eigen::Index;

constexpr float kMeanDecay = 0.9f;
constexpr float kVarianceDecay = 0.999f;
constexpr float kEpsilon = 1e-8f;
constexpr Index kEntries = 1 << 14;  // of a tensor, updated by one thread

}  // namespace

AdamStep adam_step(double learning_rate, Index step, float gradient_scale) {
  const auto steps = static_cast<double>(step);
  return {.rate = static_cast<float>(learning_rate * std::sqrt(1.0 - std::pow(0.999, steps)) /
                                     (1.0 - std::pow(0.9, steps))),
          .gradient_scale = gradient_scale};
}

void adam_update(const AdamStep& step, const RowMatrix& gradient, RowMatrix& mean,
                 RowMatrix& variance, RowMatrix& value, int threads) {
  const float* const gradients = gradient.data();
  float* const means = mean.data();
  float* const variances = variance.data();
  float* const values = value.data();
  base::parallel_blocks(value.size(), kEntries, threads, [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const float slope = step.gradient_scale * gradients[i];
      means[i] = kMeanDecay * means[i] + (1.0f - kMeanDecay) * slope;
      variances[i] = kVarianceDecay * variances[i] + (1.0f - kVarianceDecay) * slope * slope;
      values[i] -= step.rate * means[i] / (std::sqrt(variances[i]) + kEpsilon);
    }
  });
}

}  // namespace emcomp::networks
