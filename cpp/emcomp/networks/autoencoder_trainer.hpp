// Training the direction-aware autoencoder: Adam on seeded minibatches of all rows.
#pragma once

#include <cstdint>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/networks/adam.hpp"
#include "emcomp/networks/autoencoder_model.hpp"
#include "emcomp/networks/minibatches.hpp"

namespace emcomp::networks {

class AutoencoderTrainer {
 public:
  // Copies the rows. All parameters start uniform, within one over the root of the inputs of their
  // layer, as torch's linear layers do.
  AutoencoderTrainer(const base::MatrixView& rows, const AutoencoderShape& shape,
                     Eigen::Index batch, std::uint64_t seed);

  const AutoencoderShape& shape() const { return shape_; }
  AutoencoderParameters& parameters() { return parameters_; }

  // The last step of an epoch takes the rows that are left.
  Eigen::Index steps_per_epoch() const { return batches_.per_epoch(); }

  // Takes `steps` steps from where the last call stopped; rows are shuffled for every epoch.
  // Returns the mean over the steps. Throws InputError where numbers grow beyond floats.
  AutoencoderLoss train(Eigen::Index steps, const AutoencoderObjective& objective,
                        double learning_rate, int threads);

 private:
  AutoencoderShape shape_;
  RowMatrix rows_;
  AutoencoderParameters parameters_;
  AutoencoderParameters gradient_;
  Adam<AutoencoderParameters> adam_;
  AutoencoderPass pass_;
  Minibatches batches_;
};

}  // namespace emcomp::networks
