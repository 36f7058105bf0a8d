#include "emcomp/networks/compositional_model.hpp"

#include <algorithm>
#include <numeric>

#include "emcomp/base/parallel.hpp"

namespace emcomp::networks {

namespace {

using Eigen::Index;

constexpr Index kStrip = 64;  // rows of a gradient that are computed together

}  // namespace

template <class Scalar>
CompositionalParameters<Scalar> CompositionalParameters<Scalar>::zeros(
    const CompositionalShape& shape) {
  using Matrix = RowMatrix<Scalar>;
  return {.hidden_weights = Matrix::Zero(shape.hidden(), shape.dim),
          .hidden_bias = Matrix::Zero(1, shape.hidden()),
          .logit_weights = Matrix::Zero(shape.logits(), shape.hidden()),
          .logit_bias = Matrix::Zero(1, shape.logits()),
          .codebooks = Matrix::Zero(shape.logits(), shape.dim)};
}

template <class Scalar>
CompositionalPass<Scalar>::CompositionalPass(const CompositionalShape& shape, Index batch)
    : shape_(shape),
      rows_(batch, shape.dim),
      hidden_(batch, shape.hidden()),
      hidden_gradient_(batch, shape.hidden()),
      logits_(batch, shape.logits()),
      soft_(batch, shape.logits()),
      soft_gradient_(batch, shape.logits()),
      errors_(batch, shape.dim) {}

template <class Scalar>
Index CompositionalPass<Scalar>::slice() const {
  return std::clamp<Index>(rows_.rows() / 8 / 32 * 32, 32, 128);
}

template <class Scalar>
double CompositionalPass<Scalar>::forward(const CompositionalParameters<Scalar>& parameters,
                                          Index begin, Index count, const Noise& noise) {
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
  constexpr auto kTiny = static_cast<Scalar>(1e-20);
  constexpr auto kFloor = static_cast<Scalar>(1e-8);
  soft = kTiny - (soft + kTiny).log();
  // softplus(z) = max(z, 0) + log(1 + exp(-|z|))
  weights = (-z.abs()).exp();
  weights = z.max(Scalar{0}) + weights.log1p() + kFloor;
  // From here on the slope of the logits: 1 / (1 + exp(-z)) / (softplus(z) + 1e-8).
  z = ((-z).exp() + Scalar{1}).inverse() / weights;
  soft = weights / soft;
  normalize(begin, count);

  auto errors = errors_.middleRows(begin, count);
  errors.noalias() = soft_.middleRows(begin, count) * parameters.codebooks;
  errors -= rows_.middleRows(begin, count);
  return 0.5 * sum_of_squares(errors_.data() + begin * shape_.dim, count * shape_.dim);
}

template <class Scalar>
void CompositionalPass<Scalar>::normalize(Index begin, Index count) {
  Scalar* soft = soft_.data() + begin * shape_.logits();
  for (Index group = 0; group < count * shape_.codes; ++group, soft += shape_.codewords) {
    Scalar sum{0};
    for (Index k = 0; k < shape_.codewords; ++k) sum += soft[k];
    for (Index k = 0; k < shape_.codewords; ++k) soft[k] /= sum;
  }
}

template <class Scalar>
void CompositionalPass<Scalar>::backward(const CompositionalParameters<Scalar>& parameters,
                                         Index begin, Index count, Scalar scale) {
  auto error_entries = flat(errors_, begin, count);
  error_entries *= scale;
  auto soft_gradient = soft_gradient_.middleRows(begin, count);
  soft_gradient.noalias() = errors_.middleRows(begin, count) * parameters.codebooks.transpose();

  const Scalar* soft = soft_.data() + begin * shape_.logits();
  const Scalar* gradient = soft_gradient_.data() + begin * shape_.logits();
  Scalar* slope = logits_.data() + begin * shape_.logits();  // becomes the gradient
  for (Index group = 0; group < count * shape_.codes; ++group) {
    Scalar mean{0};
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
  hidden_entries *= Scalar{1} - hidden * hidden;
}

template <class Scalar>
double CompositionalPass<Scalar>::run(const CompositionalParameters<Scalar>& parameters,
                                      Index count, const Noise& noise, bool with_gradient,
                                      int threads) {
  std::vector<double> losses(static_cast<std::size_t>((count + slice() - 1) / slice()));
  base::parallel_blocks(count, slice(), threads, [&](Index begin, Index end) {
    losses[static_cast<std::size_t>(begin / slice())] =
        forward(parameters, begin, end - begin, noise);
    if (with_gradient) {
      backward(parameters, begin, end - begin, Scalar{1} / static_cast<Scalar>(count));
    }
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(count);
}

template <class Scalar>
double CompositionalPass<Scalar>::loss(const CompositionalParameters<Scalar>& parameters,
                                       Index count, const Noise& noise, int threads) {
  return run(parameters, count, noise, false, threads);
}

template <class Scalar>
CompositionalLoss CompositionalPass<Scalar>::gradient(
    const CompositionalParameters<Scalar>& parameters, Index count, const Noise& noise,
    CompositionalParameters<Scalar>& gradient, int threads) {
  const double loss = run(parameters, count, noise, true, threads);

  // Strips of the hidden units first, then of the logits, which codebooks share.
  const Index hidden_strips = (shape_.hidden() + kStrip - 1) / kStrip;
  const Index logit_strips = (shape_.logits() + kStrip - 1) / kStrip;
  std::vector<double> norms(static_cast<std::size_t>(hidden_strips + logit_strips));
  base::parallel_blocks(hidden_strips + logit_strips, 1, threads, [&](Index strip, Index) {
    // Rows [begin, begin + size) of a product of the batch's two sides, and its squared norm.
    const auto product = [&](const RowMatrix<Scalar>& left, const RowMatrix<Scalar>& right,
                             Index begin, Index size, RowMatrix<Scalar>& out) {
      out.middleRows(begin, size).noalias() =
          left.topRows(count).middleCols(begin, size).transpose() * right.topRows(count);
      return sum_of_squares(out.data() + begin * out.cols(), size * out.cols());
    };
    const auto bias = [&](const RowMatrix<Scalar>& left, Index begin, Index size,
                          RowMatrix<Scalar>& out) {
      sum_columns(left, count, begin, size, out.data() + begin);
      return sum_of_squares(out.data() + begin, size);
    };
    double& norm = norms[static_cast<std::size_t>(strip)];
    if (strip < hidden_strips) {
      const Index begin = strip * kStrip;
      const Index size = std::min(kStrip, shape_.hidden() - begin);
      norm = product(hidden_gradient_, rows_, begin, size, gradient.hidden_weights);
      norm += bias(hidden_gradient_, begin, size, gradient.hidden_bias);
    } else {
      const Index begin = (strip - hidden_strips) * kStrip;
      const Index size = std::min(kStrip, shape_.logits() - begin);
      norm = product(logits_, hidden_, begin, size, gradient.logit_weights);
      norm += bias(logits_, begin, size, gradient.logit_bias);
      norm += product(soft_, errors_, begin, size, gradient.codebooks);
    }
  });
  return {loss, std::accumulate(norms.begin(), norms.end(), 0.0)};
}

void encode_compositional(const CompositionalParameters<float>& parameters,
                          const CompositionalShape& shape, const base::MatrixView& matrix,
                          std::uint8_t* codes, int threads) {
  base::parallel_blocks(
      matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        const Index count = end - begin;
        RowMatrix<float> rows(count, shape.dim);
        base::load_rows(matrix, begin, count, rows.data());
        RowMatrix<float> hidden = rows * parameters.hidden_weights.transpose();
        add_to_rows(hidden, 0, count, parameters.hidden_bias);
        auto hidden_entries = flat(hidden, 0, count);
        hidden_entries = hidden_entries.tanh();
        RowMatrix<float> logits = hidden * parameters.logit_weights.transpose();
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

template struct CompositionalParameters<float>;
template struct CompositionalParameters<double>;
template class CompositionalPass<float>;
template class CompositionalPass<double>;

}  // namespace emcomp::networks
