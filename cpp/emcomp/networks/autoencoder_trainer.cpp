#include "emcomp/networks/autoencoder_trainer.hpp"

#include <cmath>
#include <string>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/base/random.hpp"

namespace emcomp::networks {

namespace {

using Eigen::Index;

// Streams of random numbers.
constexpr std::uint32_t kRowOrder = 0;
constexpr std::uint32_t kStartValues = 1;

}  // namespace

AutoencoderTrainer::AutoencoderTrainer(const base::MatrixView& rows, const AutoencoderShape& shape,
                                       Index batch, std::uint64_t seed)
    : shape_(shape),
      rows_(rows.rows, rows.dim),
      parameters_(AutoencoderParameters::zeros(shape)),
      gradient_(parameters_),
      adam_(parameters_),
      pass_(shape, batch),
      batches_(rows.rows, batch, LastBatch::kSmaller, base::philox_key(seed), kRowOrder) {
  base::load_rows(rows, 0, rows.rows, rows_.data());
  Index index = 0;
  for (RowMatrix* tensor : parameters_.tensors()) {
    const bool encoder = index < 2;
    const float bound = 1.0f / std::sqrt(static_cast<float>(encoder ? shape.dim : shape.latents));
    base::fill_uniform(base::philox_key(seed), index++, kStartValues, tensor->data(),
                       tensor->size());
    tensor->array() = bound * (2.0f * tensor->array() - 1.0f);
  }
}

AutoencoderLoss AutoencoderTrainer::train(Index steps, const AutoencoderObjective& objective,
                                          double learning_rate, int threads) {
  // Threads cost more than they bring where a step takes less than some ten microseconds.
  const Index products = pass_.rows().size() * shape_.latents;
  threads = base::threads_for(products / 4, threads);
  AutoencoderLoss total{};
  for (Index done = 0; done < steps; ++done) {
    const Index batch = batches_.gather(adam_.steps(), rows_, pass_.rows());
    const AutoencoderLoss result =
        pass_.gradient(parameters_, batch, objective, gradient_, threads);
    adam_.update(gradient_, learning_rate, 1.0f, parameters_, threads);
    total.loss += result.loss;
    total.cosine_distance += result.cosine_distance;
  }
  if (!std::isfinite(total.loss) || !adam_.finite()) {
    throw InputError("training diverged by step " + std::to_string(adam_.steps()) +
                     ": use a lower learning_rate, or scale the table");
  }
  total.loss /= static_cast<double>(steps);
  total.cosine_distance /= static_cast<double>(steps);
  return total;
}

}  // namespace emcomp::networks
