// The direction-aware autoencoder (Bałazy et al. 2021, "Direction is what you need: improving word
// embedding compression in large language models"): one layer to the latents, one layer back.
#pragma once

#include <Eigen/Core>
#include <array>
#include <vector>

#include "emcomp/networks/row_matrix.hpp"

namespace emcomp::networks {

struct AutoencoderShape {
  Eigen::Index dim = 0;
  Eigen::Index latents = 0;
  bool elu = false;  // after both layers
};

// What is learned; also its gradient and the moments of Adam.
struct AutoencoderParameters {
  RowMatrix encoder_weights;  // [latents, dim]
  RowMatrix encoder_bias;     // [1, latents]
  RowMatrix decoder_weights;  // [latents, dim]
  RowMatrix decoder_bias;     // [1, dim]

  static AutoencoderParameters zeros(const AutoencoderShape& shape);

  std::array<RowMatrix*, 4> tensors() {
    return {&encoder_weights, &encoder_bias, &decoder_weights, &decoder_bias};
  }
};

// A sum of three terms, each a mean over the batch; e is the output less the row.
struct AutoencoderObjective {
  double cosine_weight = 0.0;  // of 1 - cosine of output and row
  double rmse_weight = 0.0;    // of the root of the mean e^2
  double power_weight = 0.0;   // of (|e| + 1e-10)^power
  double power = 1.0;
};

struct AutoencoderLoss {
  double loss;             // of a batch
  double cosine_distance;  // its first term, without weight
};

// The forward and backward pass over one batch, by hand. A batch is handled in slices of rows, the
// gradient in strips of latents: both are cut the same way for any number of threads, so that
// results do not depend on it.
class AutoencoderPass {
 public:
  AutoencoderPass(const AutoencoderShape& shape, Eigen::Index batch);

  // Rows of the batch [batch, dim], to be filled before a pass.
  RowMatrix& rows() { return rows_; }

  // The loss of the first `count` rows, and its gradient.
  AutoencoderLoss gradient(const AutoencoderParameters& parameters, Eigen::Index count,
                           const AutoencoderObjective& objective, AutoencoderParameters& gradient,
                           int threads);

 private:
  // Sums over the rows of a slice.
  struct Sums {
    double cosine_distances = 0.0;
    double squared_errors = 0.0;
    double powers = 0.0;

    Sums& operator+=(const Sums& other);
  };

  // Factors of a row and of its output in the gradient of the cosine distance.
  struct CosineSlope {
    float row;
    float output;
  };

  Sums forward(const AutoencoderParameters& parameters, Eigen::Index begin, Eigen::Index count,
               const AutoencoderObjective& objective);
  double cosine_distance(Eigen::Index row);
  void backward(const AutoencoderParameters& parameters, Eigen::Index begin, Eigen::Index count,
                Eigen::Index batch, const AutoencoderObjective& objective, double rmse);
  void activate(RowMatrix& values, Eigen::Index begin, Eigen::Index count) const;
  void add_slope(const RowMatrix& activated, RowMatrix& gradient, Eigen::Index begin,
                 Eigen::Index count) const;

  AutoencoderShape shape_;
  RowMatrix rows_;                   // [batch, dim]
  RowMatrix latents_;                // [batch, latents]
  RowMatrix latents_gradient_;       // [batch, latents]
  RowMatrix outputs_;                // [batch, dim]
  RowMatrix powers_;                 // [batch, dim], (|e| + 1e-10)^power, then the gradient
  std::vector<CosineSlope> slopes_;  // [batch]
};

}  // namespace emcomp::networks
