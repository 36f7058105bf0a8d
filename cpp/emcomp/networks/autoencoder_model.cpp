#include "emcomp/networks/autoencoder_model.hpp"

#include <algorithm>
#include <cmath>

#include "emcomp/base/parallel.hpp"
#include "emcomp/networks/elu.hpp"

namespace emcomp::networks {

namespace {

using Eigen::Index;

constexpr Index kSlice = 32;        // rows of a batch that are handled together
constexpr Index kLatentStrip = 32;  // latents whose gradient is computed together

constexpr double kLeastProduct = 1e-6;  // of two lengths; the cosine of shorter ones tends to zero

constexpr auto kOffset = static_cast<float>(1e-10);  // of an error before its power is taken

}  // namespace

AutoencoderParameters AutoencoderParameters::zeros(const AutoencoderShape& shape) {
  using Matrix = RowMatrix;
  return {.encoder_weights = Matrix::Zero(shape.latents, shape.dim),
          .encoder_bias = Matrix::Zero(1, shape.latents),
          .decoder_weights = Matrix::Zero(shape.latents, shape.dim),
          .decoder_bias = Matrix::Zero(1, shape.dim)};
}

AutoencoderPass::AutoencoderPass(const AutoencoderShape& shape, Index batch)
    : shape_(shape),
      rows_(batch, shape.dim),
      latents_(batch, shape.latents),
      latents_gradient_(batch, shape.latents),
      outputs_(batch, shape.dim),
      powers_(batch, shape.dim),
      slopes_(static_cast<std::size_t>(batch)) {}

auto AutoencoderPass::Sums::operator+=(const Sums& other) -> Sums& {
  cosine_distances += other.cosine_distances;
  squared_errors += other.squared_errors;
  powers += other.powers;
  return *this;
}

void AutoencoderPass::activate(RowMatrix& values, Index begin, Index count) const {
  if (shape_.elu) apply_elu(values.data() + begin * values.cols(), count * values.cols());
}

// The slope of ELU is 1 above zero and e^x, which is one more than its value, below.
void AutoencoderPass::add_slope(const RowMatrix& activated, RowMatrix& gradient, Index begin,
                                Index count) const {
  if (!shape_.elu) return;
  const float* value = activated.data() + begin * activated.cols();
  float* slope = gradient.data() + begin * activated.cols();
  for (Index i = 0; i < count * activated.cols(); ++i) {
    slope[i] *= std::min(value[i], 0.0f) + 1.0f;
  }
}

double AutoencoderPass::cosine_distance(Index row) {
  const float* x = rows_.data() + row * shape_.dim;
  const float* y = outputs_.data() + row * shape_.dim;
  const double product = dot(x, y, shape_.dim);
  const double squared_length = sum_of_squares(y, shape_.dim);
  const double lengths = std::sqrt(sum_of_squares(x, shape_.dim) * squared_length);
  const double cosine = product / std::max(lengths, kLeastProduct);
  CosineSlope& slope = slopes_[static_cast<std::size_t>(row)];
  slope.row = static_cast<float>(-1.0 / std::max(lengths, kLeastProduct));
  slope.output = lengths > kLeastProduct ? static_cast<float>(cosine / squared_length) : 0.0f;
  return 1.0 - cosine;
}

auto AutoencoderPass::forward(const AutoencoderParameters& parameters, Index begin, Index count,
                              const AutoencoderObjective& objective) -> Sums {
  auto latents = latents_.middleRows(begin, count);
  latents.noalias() = rows_.middleRows(begin, count) * parameters.encoder_weights.transpose();
  add_to_rows(latents_, begin, count, parameters.encoder_bias);
  activate(latents_, begin, count);
  outputs_.middleRows(begin, count).noalias() = latents * parameters.decoder_weights;
  add_to_rows(outputs_, begin, count, parameters.decoder_bias);
  activate(outputs_, begin, count);

  Sums sums;
  for (Index r = begin; r < begin + count; ++r) sums.cosine_distances += cosine_distance(r);
  if (objective.power_weight == 0.0 && objective.rmse_weight == 0.0) return sums;
  auto powers = flat(powers_, begin, count);
  const Index entries = powers.size();
  powers = flat(outputs_, begin, count) - flat(rows_, begin, count);
  if (objective.rmse_weight != 0.0) sums.squared_errors = sum_of_squares(powers.data(), entries);
  if (objective.power_weight != 0.0) {
    powers = ((powers.abs() + kOffset).log() * static_cast<float>(objective.power)).exp();
    sums.powers = sum(powers.data(), entries);
  }
  return sums;
}

void AutoencoderPass::backward(const AutoencoderParameters& parameters, Index begin, Index count,
                               Index batch, const AutoencoderObjective& objective, double rmse) {
  const double entries = static_cast<double>(batch) * static_cast<double>(shape_.dim);
  const auto cosine_factor =
      static_cast<float>(objective.cosine_weight / static_cast<double>(batch));
  const auto error_factor =
      static_cast<float>(rmse > 0.0 ? objective.rmse_weight / (entries * rmse) : 0.0);
  const auto power_factor = static_cast<float>(objective.power_weight * objective.power / entries);
  for (Index r = begin; r < begin + count; ++r) {
    const float* row = rows_.data() + r * shape_.dim;
    const float* output = outputs_.data() + r * shape_.dim;
    float* gradient = powers_.data() + r * shape_.dim;
    const CosineSlope& slope = slopes_[static_cast<std::size_t>(r)];
    const float row_factor = cosine_factor * slope.row;
    const float output_factor = cosine_factor * slope.output;
    if (power_factor == 0.0f) std::fill_n(gradient, shape_.dim, 0.0f);
    for (Index c = 0; c < shape_.dim; ++c) {
      const float error = output[c] - row[c];
      const float sign = error == 0.0f ? 0.0f : std::copysign(power_factor, error);
      gradient[c] = sign * gradient[c] / (std::abs(error) + kOffset) + error_factor * error +
                    row_factor * row[c] + output_factor * output[c];
    }
  }
  add_slope(outputs_, powers_, begin, count);
  latents_gradient_.middleRows(begin, count).noalias() =
      powers_.middleRows(begin, count) * parameters.decoder_weights.transpose();
  add_slope(latents_, latents_gradient_, begin, count);
}

AutoencoderLoss AutoencoderPass::gradient(const AutoencoderParameters& parameters, Index count,
                                          const AutoencoderObjective& objective,
                                          AutoencoderParameters& gradient, int threads) {
  std::vector<Sums> slices(static_cast<std::size_t>((count + kSlice - 1) / kSlice));
  base::parallel_blocks(count, kSlice, threads, [&](Index begin, Index end) {
    slices[static_cast<std::size_t>(begin / kSlice)] =
        forward(parameters, begin, end - begin, objective);
  });
  Sums sums;
  for (const Sums& slice : slices) sums += slice;
  const auto rows = static_cast<double>(count);
  const double entries = rows * static_cast<double>(shape_.dim);
  const double rmse = std::sqrt(sums.squared_errors / entries);
  base::parallel_blocks(count, kSlice, threads, [&](Index begin, Index end) {
    backward(parameters, begin, end - begin, count, objective, rmse);
  });

  // Strips of the encoder first, then of the decoder.
  const Index strips = (shape_.latents + kLatentStrip - 1) / kLatentStrip;
  base::parallel_blocks(2 * strips, 1, threads, [&](Index index, Index) {
    const bool encoder = index < strips;
    const Index begin = (encoder ? index : index - strips) * kLatentStrip;
    const Index size = std::min(kLatentStrip, shape_.latents - begin);
    const auto product = [&](const RowMatrix& left, const RowMatrix& right, RowMatrix& out) {
      out.middleRows(begin, size).noalias() =
          left.topRows(count).middleCols(begin, size).transpose() * right.topRows(count);
    };
    if (encoder) {
      product(latents_gradient_, rows_, gradient.encoder_weights);
      sum_columns(latents_gradient_, count, begin, size, gradient.encoder_bias.data() + begin);
    } else {
      product(latents_, powers_, gradient.decoder_weights);
      if (begin == 0) {
        sum_columns(powers_, count, 0, shape_.dim, gradient.decoder_bias.data());
      }
    }
  });
  const double cosine_distance = sums.cosine_distances / rows;
  return {.loss = objective.cosine_weight * cosine_distance + objective.rmse_weight * rmse +
                  objective.power_weight * sums.powers / entries,
          .cosine_distance = cosine_distance};
}

}  // namespace emcomp::networks
