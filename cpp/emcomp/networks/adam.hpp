// Adam (Kingma & Ba 2015, "Adam: a method for stochastic optimization"), with the bias corrections
// folded into the rate (end of section 2).
#pragma once

#include <Eigen/Core>

#include "emcomp/networks/row_matrix.hpp"

namespace emcomp::networks {

struct AdamStep {
  float rate;                   // with the bias corrections of this step
  float gradient_scale = 1.0f;  // of all gradients, for clipping
};

AdamStep adam_step(double learning_rate, Eigen::Index step, float gradient_scale);

// One tensor's step, given the moments of its gradients.
void adam_update(const AdamStep& step, const RowMatrix& gradient, RowMatrix& mean,
                 RowMatrix& variance, RowMatrix& value, int threads);

// Parameters are a struct whose tensors() are pointers to matrices.
template <class Parameters>
class Adam {
 public:
  explicit Adam(const Parameters& zeros) : mean_(zeros), variance_(zeros) {}

  // Steps taken so far.
  Eigen::Index steps() const { return steps_; }

  // Whether all gradients so far had squares that floats hold.
  bool finite() {
    for (const RowMatrix* variance : variance_.tensors()) {
      if (!variance->allFinite()) return false;
    }
    return true;
  }

  void update(Parameters& gradient, double learning_rate, float gradient_scale,
              Parameters& parameters, int threads) {
    const AdamStep step = adam_step(learning_rate, ++steps_, gradient_scale);
    const auto values = parameters.tensors();
    const auto gradients = gradient.tensors();
    const auto means = mean_.tensors();
    const auto variances = variance_.tensors();
    for (std::size_t i = 0; i < values.size(); ++i) {
      adam_update(step, *gradients[i], *means[i], *variances[i], *values[i], threads);
    }
  }

 private:
  Parameters mean_;      // of the gradient
  Parameters variance_;  // uncentred, of the gradient
  Eigen::Index steps_ = 0;
};

}  // namespace emcomp::networks
