#include "emcomp/compositional_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "emcomp/errors.hpp"
#include "emcomp/parallel.hpp"
#include "emcomp/random.hpp"

namespace emcomp {

namespace {

using Eigen::Index;

constexpr Index kValidationRows = 640;

enum Stream : std::uint32_t { kTrainingNoise, kValidationNoise, kShuffle, kValidationRow, kStart };

void fill_uniform(PhiloxKey key, Index row, std::uint32_t stream, float* out, Index count) {
  for (Index c = 0; c < count; c += 4) {
    const PhiloxCounter four = row_random(key, row, static_cast<std::uint32_t>(c / 4), stream);
    const Index wanted = std::min<Index>(4, count - c);
    for (Index lane = 0; lane < wanted; ++lane) {
      out[c + lane] = unit_float(four[static_cast<std::size_t>(lane)]);
    }
  }
}

// A number in [0, bound), even but for less than a part in 2^32.
Index random_below(PhiloxKey key, Index row, std::uint32_t stream, Index bound) {
  const PhiloxCounter four = row_random(key, row, 0, stream);
  const std::uint64_t number = (std::uint64_t{four[0]} << 32) | four[1];
  return static_cast<Index>(number % static_cast<std::uint64_t>(bound));
}

}  // namespace

CompositionalTrainer::CompositionalTrainer(const MatrixView& rows, const CompositionalShape& shape,
                                           const TrainingSettings& settings)
    : shape_(shape),
      settings_(settings),
      rows_(rows.rows, rows.dim),
      parameters_(CompositionalParameters<float>::zeros(shape)),
      gradient_(parameters_),
      mean_(parameters_),
      variance_(parameters_),
      pass_(shape, settings.batch),
      validation_(shape, std::min(kValidationRows, static_cast<Index>(rows.rows))),
      order_(static_cast<std::size_t>(rows.rows)) {
  load_rows(rows, 0, rows.rows, rows_.data());
  if (settings_.normalize) {
    const double squares = sum_of_squares(rows_.data(), rows_.size());
    const double scale = std::sqrt(static_cast<double>(rows_.size()) / squares);
    // A table of zeros, or of entries too small to be told from it, stays as it is.
    if (scale < 1e30) scale_ = static_cast<float>(scale);
    rows_ *= scale_;
  }
  const PhiloxKey key = philox_key(settings_.seed);
  Index tensor_index = 0;
  for (RowMatrix<float>* tensor : parameters_.tensors()) {
    fill_uniform(key, tensor_index++, kStart, tensor->data(), tensor->size());
    tensor->array() = 0.02f * tensor->array() - 0.01f;
  }
  best_ = parameters_;
  // Chosen as a shuffle would choose them, without repetition.
  std::iota(order_.begin(), order_.end(), Index{0});
  for (Index i = 0; i < validation_.rows().rows(); ++i) {
    const Index other = i + random_below(key, i, kValidationRow, rows_.rows() - i);
    std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(other)]);
    validation_.rows().row(i) = rows_.row(order_[static_cast<std::size_t>(i)]);
  }
}

CompositionalParameters<float> CompositionalTrainer::parameters() const {
  CompositionalParameters<float> parameters = parameters_;
  parameters.hidden_weights *= scale_;
  parameters.codebooks /= scale_;
  return parameters;
}

void CompositionalTrainer::shuffle() {
  const PhiloxKey key = philox_key(settings_.seed);
  const Index rows = rows_.rows();
  const Index drawn = steps_ / steps_per_epoch() * rows;  // numbers that epochs before have used
  std::iota(order_.begin(), order_.end(), Index{0});
  for (Index i = rows - 1; i > 0; --i) {
    const Index other = random_below(key, drawn + i, kShuffle, i + 1);
    std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(other)]);
  }
}

double CompositionalTrainer::train(Index steps, int threads) {
  const PhiloxKey key = philox_key(settings_.seed);
  double loss = 0.0;
  for (Index done = 0; done < steps; ++done) {
    const Index in_epoch = steps_ % steps_per_epoch();
    if (in_epoch == 0) shuffle();
    const Index batch = settings_.batch;
    for (Index i = 0; i < batch; ++i) {
      pass_.rows().row(i) = rows_.row(order_[static_cast<std::size_t>(in_epoch * batch + i)]);
    }
    const auto noise = [&](Index row, float* out, Index count) {
      fill_uniform(key, steps_ * batch + row, kTrainingNoise, out, count);
    };
    const CompositionalLoss result = pass_.gradient(parameters_, batch, noise, gradient_, threads);
    // Beyond this the squares that Adam keeps are no floats.
    if (!(result.squared_norm < 1e38)) {
      throw InputError("training diverged in step " + std::to_string(steps_ + 1) +
                       ": use a lower learning_rate, or scale the table");
    }
    loss += result.loss;
    ++steps_;
    const double norm = std::sqrt(result.squared_norm);
    const double clip = settings_.clip_norm;
    step(clip > 0.0 && norm > clip ? static_cast<float>(clip / norm) : 1.0f, threads);
  }
  return loss / static_cast<double>(steps);
}

// Kingma & Ba 2015, "Adam", with the bias corrections folded into the rate (end of section 2).
void CompositionalTrainer::step(float gradient_scale, int threads) {
  constexpr float kMeanDecay = 0.9f;
  constexpr float kVarianceDecay = 0.999f;
  constexpr float kEpsilon = 1e-8f;
  const auto steps = static_cast<double>(steps_);
  const auto rate =
      static_cast<float>(settings_.learning_rate * std::sqrt(1.0 - std::pow(0.999, steps)) /
                         (1.0 - std::pow(0.9, steps)));
  const auto values = parameters_.tensors();
  const auto gradients = gradient_.tensors();
  const auto means = mean_.tensors();
  const auto variances = variance_.tensors();
  for (std::size_t tensor = 0; tensor < values.size(); ++tensor) {
    constexpr Index kEntries = 1 << 16;
    parallel_blocks(values[tensor]->size(), kEntries, threads, [&](Index begin, Index end) {
      float* value = values[tensor]->data();
      const float* gradient = gradients[tensor]->data();
      float* mean = means[tensor]->data();
      float* variance = variances[tensor]->data();
      for (Index i = begin; i < end; ++i) {
        const float slope = gradient_scale * gradient[i];
        mean[i] = kMeanDecay * mean[i] + (1.0f - kMeanDecay) * slope;
        variance[i] = kVarianceDecay * variance[i] + (1.0f - kVarianceDecay) * slope * slope;
        value[i] -= rate * mean[i] / (std::sqrt(variance[i]) + kEpsilon);
      }
    });
  }
}

double CompositionalTrainer::validation_loss(int threads) {
  const PhiloxKey key = philox_key(settings_.seed);
  const auto noise = [&](Index row, float* out, Index count) {
    fill_uniform(key, row, kValidationNoise, out, count);
  };
  return validation_.loss(parameters_, validation_.rows().rows(), noise, threads);
}

}  // namespace emcomp
