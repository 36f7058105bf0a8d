#include "emcomp/networks/compositional_model.hpp"

#include <algorithm>
#include <numeric>

#include "emcomp/base/parallel.hpp"

namespace emcomp::networks {

namespace {

using Eigen::Index;

constexpr Index kGradientRows = 64;  // rows of a gradient that are computed together

}  // namespace

CompositionalParameters CompositionalParameters::zeros(const CompositionalShape& shape) {
  using Matrix = RowMatrix;
  return {.hidden_weights = Matrix::Zero(shape.hidden(), shape.dim),
          .hidden_bias = Matrix::Zero(1, shape.hidden()),
          .logit_weights = Matrix::Zero(shape.logits(), shape.hidden()),
          .logit_bias = Matrix::Zero(1, shape.logits()),
          .codebooks = Matrix::Zero(shape.logits(), shape.dim)};
}

CompositionalPass::CompositionalPass(const CompositionalShape& shape, Index batch)
    : shape_(shape),
      rows_(batch, shape.dim),
      hidden_(batch, shape.hidden()),
      hidden_gradient_(batch, shape.hidden()),
      logits_(batch, shape.logits()),
      soft_(batch, shape.logits()),
      soft_gradient_(batch, shape.logits()),
      errors_(batch, shape.dim) {}

Index CompositionalPass::slice() const {
  return std::clamp<Index>(rows_.rows() / 8 / 32 * 32, 32, 128);
}

double CompositionalPass::forward(const CompositionalParameters& parameters, Index begin,
                                  Index count, const Noise& noise) {
  auto hidden = hidden_.middleRows(begin, count);
  hidden.noalias() = rows_.middleRows(begin, count) * parameters.hidden_weights.transpose();
  add_to_rows(hidden_, begin, count, parameters.hidden_bias);
  auto hidden_entries = flat(hidden_, begin, count);
  hidden_entries = hidden_entries.tanh();

  auto logits = logits_.middleRows(begin, count);
  logits.noalias() = hidden * parameters.logit_weights.transpose();
  add_to_rows(logits_, begin, count, parameters.logit_bias);

  for (Index r = begin; r < begin + count; ++r) {
    noise(r, soft_.data() + r * soft_.cols(), soft_.cols());
  }
  // With logits log(softplus(z) + 1e-8) and Gumbel noise -log(e), the soft codes are in proportion
  // to (softplus(z) + 1e-8) / e: neither logarithm nor exponential of them is needed.
  auto z = flat(logits_, begin, count);
  auto soft = flat(soft_, begin, count);
  auto weights = flat(soft_gradient_, begin, count);
  constexpr auto kTiny = static_cast<float>(1e-20);
  constexpr auto kFloor = static_cast<float>(1e-8);
  soft = kTiny - (soft + kTiny).log();
  // softplus(z) = max(z, 0) + log(1 + exp(-|z|))
  weights = (-z.abs()).exp();
  weights = z.max(0.0f) + weights.log1p() + kFloor;
  // From here on the slope of the logits: 1 / (1 + exp(-z)) / (softplus(z) + 1e-8).
  z = ((-z).exp() + 1.0f).inverse() / weights;
  soft = weights / soft;
  normalize(begin, count);

  auto errors = errors_.middleRows(begin, count);
  errors.noalias() = soft_.middleRows(begin, count) * parameters.codebooks;
  errors -= rows_.middleRows(begin, count);
  return 0.5 * sum_of_squares(errors_.data() + begin * shape_.dim, count * shape_.dim);
}

void CompositionalPass::normalize(Index begin, Index count) {
  float* soft = soft_.data() + begin * shape_.logits();
  for (Index group = 0; group < count * shape_.codes; ++group, soft += shape_.codewords) {
    float sum{0};
    for (Index k = 0; k < shape_.codewords; ++k) sum += soft[k];
    for (Index k = 0; k < shape_.codewords; ++k) soft[k] /= sum;
  }
}

void CompositionalPass::backward(const CompositionalParameters& parameters, Index begin,
                                 Index count, float scale) {
  auto error_entries = flat(errors_, begin, count);
  error_entries *= scale;
  auto soft_gradient = soft_gradient_.middleRows(begin, count);
  soft_gradient.noalias() = errors_.middleRows(begin, count) * parameters.codebooks.transpose();

  const float* soft = soft_.data() + begin * shape_.logits();
  const float* gradient = soft_gradient_.data() + begin * shape_.logits();
  float* slope = logits_.data() + begin * shape_.logits();  // becomes the gradient
  for (Index group = 0; group < count * shape_.codes; ++group) {
    float mean{0};
    for (Index k = 0; k < shape_.codewords; ++k) mean += soft[k] * gradient[k];
    for (Index k = 0; k < shape_.codewords; ++k) slope[k] *= soft[k] * (gradient[k] - mean);
    soft += shape_.codewords;
    gradient += shape_.codewords;
    slope += shape_.codewords;
  }

  auto hidden_gradient = hidden_gradient_.middleRows(begin, count);
  hidden_gradient.noalias() = logits_.middleRows(begin, count) * parameters.logit_weights;
  auto hidden = flat(hidden_, begin, count);
  auto hidden_entries = flat(hidden_gradient_, begin, count);
  hidden_entries *= 1.0f - hidden * hidden;
}

double CompositionalPass::run(const CompositionalParameters& parameters, Index count,
                              const Noise& noise, bool with_gradient, int threads) {
  std::vector<double> losses(static_cast<std::size_t>((count + slice() - 1) / slice()));
  base::parallel_blocks(count, slice(), threads, [&](Index begin, Index end) {
    losses[static_cast<std::size_t>(begin / slice())] =
        forward(parameters, begin, end - begin, noise);
    if (with_gradient) {
      backward(parameters, begin, end - begin, 1.0f / static_cast<float>(count));
    }
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(count);
}

double CompositionalPass::loss(const CompositionalParameters& parameters, Index count,
                               const Noise& noise, int threads) {
  return run(parameters, count, noise, false, threads);
}

CompositionalLoss CompositionalPass::gradient(const CompositionalParameters& parameters,
                                              Index count, const Noise& noise,
                                              CompositionalParameters& gradient, int threads) {
  const double loss = run(parameters, count, noise, true, threads);

  // Strips of the hidden units first, then of the logits, which codebooks share.
  const Index hidden_strips = (shape_.hidden() + kGradientRows - 1) / kGradientRows;
  const Index logit_strips = (shape_.logits() + kGradientRows - 1) / kGradientRows;
  std::vector<double> norms(static_cast<std::size_t>(hidden_strips + logit_strips));
  base::parallel_blocks(hidden_strips + logit_strips, 1, threads, [&](Index strip, Index) {
    // Rows [begin, begin + size) of a product of the batch's two sides, and its squared norm.
    const auto product = [&](const RowMatrix& left, const RowMatrix& right, Index begin, Index size,
                             RowMatrix& out) {
      out.middleRows(begin, size).noalias() =
          left.topRows(count).middleCols(begin, size).transpose() * right.topRows(count);
      return sum_of_squares(out.data() + begin * out.cols(), size * out.cols());
    };
    const auto bias = [&](const RowMatrix& left, Index begin, Index size, RowMatrix& out) {
      sum_columns(left, count, begin, size, out.data() + begin);
      return sum_of_squares(out.data() + begin, size);
    };
    double& norm = norms[static_cast<std::size_t>(strip)];
    if (strip < hidden_strips) {
      const Index begin = strip * kGradientRows;
      const Index size = std::min(kGradientRows, shape_.hidden() - begin);
      norm = product(hidden_gradient_, rows_, begin, size, gradient.hidden_weights);
      norm += bias(hidden_gradient_, begin, size, gradient.hidden_bias);
    } else {
      const Index begin = (strip - hidden_strips) * kGradientRows;
      const Index size = std::min(kGradientRows, shape_.logits() - begin);
      norm = product(logits_, hidden_, begin, size, gradient.logit_weights);
      norm += bias(logits_, begin, size, gradient.logit_bias);
      norm += product(soft_, errors_, begin, size, gradient.codebooks);
    }
  });
  return {loss, std::accumulate(norms.begin(), norms.end(), 0.0)};
}

void encode_compositional(const CompositionalParameters& parameters,
                          const CompositionalShape& shape, const base::MatrixView& matrix,
                          std::uint8_t* codes, int threads) {
  base::parallel_blocks(
      matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        const Index count = end - begin;
        RowMatrix rows(count, shape.dim);
        base::load_rows(matrix, begin, count, rows.data());
        RowMatrix hidden = rows * parameters.hidden_weights.transpose();
        add_to_rows(hidden, 0, count, parameters.hidden_bias);
        auto hidden_entries = flat(hidden, 0, count);
        hidden_entries = hidden_entries.tanh();
        RowMatrix logits = hidden * parameters.logit_weights.transpose();
        add_to_rows(logits, 0, count, parameters.logit_bias);
        // log(softplus(z) + 1e-8) rises with z, so the largest z is the largest logit.
        const float* group = logits.data();
        std::uint8_t* row_codes = codes + begin * shape.codes;
        for (Index i = 0; i < count * shape.codes; ++i, group += shape.codewords) {
          row_codes[i] =
              static_cast<std::uint8_t>(std::max_element(group, group + shape.codewords) - group);
        }
      });
}

}  // namespace emcomp::networks
