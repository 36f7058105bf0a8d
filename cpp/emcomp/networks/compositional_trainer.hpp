// Training deep compositional codes as published: Adam on seeded minibatches, gradients clipped by
// their global norm, the best parameters on a validation sample kept.
#pragma once

#include <cstdint>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/networks/adam.hpp"
#include "emcomp/networks/compositional_model.hpp"
#include "emcomp/networks/minibatches.hpp"

namespace emcomp::networks {

struct TrainingSettings {
  Eigen::Index batch = 64;
  float learning_rate = 1e-4f;
  double clip_norm = 0.001;  // 0: no clipping
  bool normalize = false;    // train on rows scaled to entries of unit mean square
  std::uint64_t seed = 0;
};

class CompositionalTrainer {
 public:
  // Copies the rows. All parameters start uniform in (-0.01, 0.01).
  CompositionalTrainer(const base::MatrixView& rows, const CompositionalShape& shape,
                       const TrainingSettings& settings);

  const CompositionalShape& shape() const { return shape_; }

  // As they apply to the rows that were given, whatever scale was trained on.
  CompositionalParameters parameters() const;

  Eigen::Index steps_per_epoch() const { return batches_.per_epoch(); }

  // Takes `steps` steps from where the last call stopped; rows are shuffled for every epoch, and
  // those that do not fill a batch are left out of it. Returns the mean loss. Throws InputError
  // where the gradient grows beyond what floats hold.
  double train(Eigen::Index steps, int threads);

  // Mean loss on 640 fixed rows (all, where there are fewer), with fixed noise.
  double validation_loss(int threads);

  void keep() { best_ = parameters_; }
  void restore() { parameters_ = best_; }

 private:
  void draw_validation_rows();

  CompositionalShape shape_;
  TrainingSettings settings_;
  RowMatrix rows_;
  float scale_ = 1.0f;  // of the rows trained on
  CompositionalParameters parameters_;
  CompositionalParameters best_;
  CompositionalParameters gradient_;
  Adam<CompositionalParameters> adam_;
  CompositionalPass pass_;
  CompositionalPass validation_;
  Minibatches batches_;
};

}  // namespace emcomp::networks
