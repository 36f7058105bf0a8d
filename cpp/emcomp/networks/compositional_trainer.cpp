#include "emcomp/networks/compositional_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/random.hpp"

namespace emcomp::networks {

namespace {

using Eigen::Index;

constexpr Index kValidationRows = 640;

enum Stream : std::uint32_t { kTrainingNoise, kValidationNoise, kShuffle, kValidationRow, kStart };

}  // namespace

CompositionalTrainer::CompositionalTrainer(const base::MatrixView& rows,
                                           const CompositionalShape& shape,
                                           const TrainingSettings& settings)
    : shape_(shape),
      settings_(settings),
      rows_(rows.rows, rows.dim),
      parameters_(CompositionalParameters::zeros(shape)),
      gradient_(parameters_),
      adam_(parameters_),
      pass_(shape, settings.batch),
      validation_(shape, std::min(kValidationRows, static_cast<Index>(rows.rows))),
      batches_(rows.rows, settings.batch, LastBatch::kLeftOut, base::philox_key(settings.seed),
               kShuffle) {
  base::load_rows(rows, 0, rows.rows, rows_.data());
  if (settings_.normalize) {
    const double squares = sum_of_squares(rows_.data(), rows_.size());
    const double scale = std::sqrt(static_cast<double>(rows_.size()) / squares);
    // A table of zeros, or of entries too small to be told from it, stays as it is.
    if (scale < 1e30) scale_ = static_cast<float>(scale);
    rows_ *= scale_;
  }
  const base::PhiloxKey key = base::philox_key(settings_.seed);
  Index tensor_index = 0;
  for (RowMatrix* tensor : parameters_.tensors()) {
    base::fill_uniform(key, tensor_index++, kStart, tensor->data(), tensor->size());
    tensor->array() = 0.02f * tensor->array() - 0.01f;
  }
  best_ = parameters_;
  draw_validation_rows();
}

// Chosen as a shuffle would choose them, without repetition.
void CompositionalTrainer::draw_validation_rows() {
  const base::PhiloxKey key = base::philox_key(settings_.seed);
  std::vector<Index> order(static_cast<std::size_t>(rows_.rows()));
  std::iota(order.begin(), order.end(), Index{0});
  for (Index i = 0; i < validation_.rows().rows(); ++i) {
    const Index other = i + base::random_below(key, i, kValidationRow, rows_.rows() - i);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(other)]);
    validation_.rows().row(i) = rows_.row(order[static_cast<std::size_t>(i)]);
  }
}

CompositionalParameters CompositionalTrainer::parameters() const {
  CompositionalParameters parameters = parameters_;
  parameters.hidden_weights *= scale_;
  parameters.codebooks /= scale_;
  return parameters;
}

double CompositionalTrainer::train(Index steps, int threads) {
  const base::PhiloxKey key = base::philox_key(settings_.seed);
  double loss = 0.0;
  for (Index done = 0; done < steps; ++done) {
    const Index step = adam_.steps();
    const Index batch = batches_.gather(step, rows_, pass_.rows());
    const auto noise = [&](Index row, float* out, Index count) {
      base::fill_uniform(key, step * batch + row, kTrainingNoise, out, count);
    };
    const CompositionalLoss result = pass_.gradient(parameters_, batch, noise, gradient_, threads);
    // Beyond this the squares that Adam keeps are no floats.
    if (!(result.squared_norm < 1e38)) {
      throw InputError("training diverged in step " + std::to_string(step + 1) +
                       ": use a lower learning_rate, or scale the table");
    }
    loss += result.loss;
    const double norm = std::sqrt(result.squared_norm);
    const double clip = settings_.clip_norm;
    const float scale = clip > 0.0 && norm > clip ? static_cast<float>(clip / norm) : 1.0f;
    adam_.update(gradient_, settings_.learning_rate, scale, parameters_, threads);
  }
  return loss / static_cast<double>(steps);
}

double CompositionalTrainer::validation_loss(int threads) {
  const base::PhiloxKey key = base::philox_key(settings_.seed);
  const auto noise = [&](Index row, float* out, Index count) {
    base::fill_uniform(key, row, kValidationNoise, out, count);
  };
  return validation_.loss(parameters_, validation_.rows().rows(), noise, threads);
}

}  // namespace emcomp::networks
