// Deep compositional codes (Shu & Nakayama 2018, "Compressing word embeddings via deep
// compositional code learning"): an encoder chooses one codeword from each of M codebooks, a row is
// their sum.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <functional>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/networks/row_matrix.hpp"

namespace emcomp::networks {

struct CompositionalShape {
  Eigen::Index dim = 0;
  Eigen::Index codes = 0;      // M, codebooks and codes of a row
  Eigen::Index codewords = 0;  // K, in each codebook

  Eigen::Index hidden() const { return codes * codewords / 2; }
  Eigen::Index logits() const { return codes * codewords; }
};

// What is learned; also its gradient and the moments of Adam.
struct CompositionalParameters {
  RowMatrix hidden_weights;  // [hidden, dim]
  RowMatrix hidden_bias;     // [1, hidden]
  RowMatrix logit_weights;   // [codes * codewords, hidden]
  RowMatrix logit_bias;      // [1, codes * codewords]
  RowMatrix codebooks;       // [codes * codewords, dim]

  static CompositionalParameters zeros(const CompositionalShape& shape);

  std::array<RowMatrix*, 5> tensors() {
    return {&hidden_weights, &hidden_bias, &logit_weights, &logit_bias, &codebooks};
  }
};

struct CompositionalLoss {
  double loss;          // mean over the batch
  double squared_norm;  // of the whole gradient
};

// The forward and backward pass over one batch, by hand. A batch is handled in slices of rows, the
// gradient in strips of its rows: both are cut the same way for any number of threads, so that
// results do not depend on it.
class CompositionalPass {
 public:
  // Fills `count` numbers in [0, 1) for row `row` of the batch.
  using Noise = std::function<void(Eigen::Index row, float* out, Eigen::Index count)>;

  CompositionalPass(const CompositionalShape& shape, Eigen::Index batch);

  // Rows of the batch [batch, dim], to be filled before a pass.
  RowMatrix& rows() { return rows_; }

  // Mean over the first `count` rows of half the squared error of their reconstruction by soft
  // codes drawn from the Gumbel-softmax distribution at temperature 1.
  double loss(const CompositionalParameters& parameters, Eigen::Index count, const Noise& noise,
              int threads);

  // The same, and its gradient.
  CompositionalLoss gradient(const CompositionalParameters& parameters, Eigen::Index count,
                             const Noise& noise, CompositionalParameters& gradient, int threads);

 private:
  Eigen::Index slice() const;
  double run(const CompositionalParameters& parameters, Eigen::Index count, const Noise& noise,
             bool with_gradient, int threads);
  double forward(const CompositionalParameters& parameters, Eigen::Index begin, Eigen::Index count,
                 const Noise& noise);
  void normalize(Eigen::Index begin, Eigen::Index count);
  void backward(const CompositionalParameters& parameters, Eigen::Index begin, Eigen::Index count,
                float scale);

  CompositionalShape shape_;
  RowMatrix rows_;             // [batch, dim]
  RowMatrix hidden_;           // [batch, hidden], after tanh
  RowMatrix hidden_gradient_;  // [batch, hidden], before tanh
  RowMatrix logits_;           // [batch, codes * codewords], then the gradient before
                               // softplus
  RowMatrix soft_;             // [batch, codes * codewords], soft codes
  RowMatrix soft_gradient_;    // [batch, codes * codewords]
  RowMatrix errors_;           // [batch, dim], reconstruction minus row, then over batch
};

// Hard codes of all rows: the codeword with the largest logit of each codebook, the first of equal
// ones, without noise; to codes [matrix.rows, codes].
void encode_compositional(const CompositionalParameters& parameters,
                          const CompositionalShape& shape, const base::MatrixView& matrix,
                          std::uint8_t* codes, int threads);

}  // namespace emcomp::networks
