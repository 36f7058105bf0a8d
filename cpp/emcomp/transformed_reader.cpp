#include "emcomp/transformed_reader.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "emcomp/elu.hpp"
#include "emcomp/half.hpp"

namespace emcomp {

namespace {

// Rows multiplied together: their latents and the rows stay in the second-level cache.
constexpr std::int64_t kBatch = 64;

class TransformedReader final : public RowReader {
 public:
  TransformedReader(std::shared_ptr<const RowReader> latents, Decoding decoding)
      : RowReader(latents->rows(), decoding.map->outputs()),
        latents_(std::move(latents)),
        decoding_(std::move(decoding)) {}

  void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
              float* out) const override {
    Scratch latents = scratch(static_cast<std::int64_t>(count));
    for (std::size_t done = 0; done < count; done += kBatch) {
      const std::size_t batch = std::min<std::size_t>(kBatch, count - done);
      latents_->gather(ids, first + done, batch, latents.data());
      decode(latents.data(), static_cast<std::int64_t>(batch), out,
             [&](std::int64_t i) { return ids[first + done + static_cast<std::size_t>(i)]; });
      out += static_cast<std::int64_t>(batch) * dim();
    }
  }

  void read(std::int64_t first, std::int64_t count, float* out) const override {
    Scratch latents = scratch(count);
    for (std::int64_t done = 0; done < count; done += kBatch) {
      const std::int64_t batch = std::min(kBatch, count - done);
      latents_->read(first + done, batch, latents.data());
      decode(latents.data(), batch, out + done * dim(),
             [&](std::int64_t i) { return first + done + i; });
    }
  }

  void prefetch(std::span<const std::int64_t> ids) const override { latents_->prefetch(ids); }

  void bag(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
           float* out) const override {
    if (ids.empty()) {
      std::fill_n(out, dim(), 0.0f);
    } else if (mode == BagMode::kMax) {
      largest(ids, out);
    } else if (decoding_.elu) {
      sum_rows(ids, weights, mode, out);
    } else {
      sum(ids, weights, mode, out);
    }
  }

  void score(std::int64_t first, std::int64_t count, const float* query, double* dots,
             double* squared_norms) const override {
    if (decoding_.orthonormal && decoding_.offset.empty()) {
      Scratch mapped(static_cast<std::size_t>(latents_->dim()));
      decoding_.map->apply_transposed(query, mapped.data());
      latents_->score(first, count, mapped.data(), dots, squared_norms);
      for (std::int64_t i = 0; i < count; ++i) {
        const auto factor = static_cast<double>(scale(first + i));
        dots[i] *= factor;
        squared_norms[i] *= factor * factor;
      }
      return;
    }
    std::vector<float> rows(static_cast<std::size_t>(std::min(kBatch, count) * dim()));
    for (std::int64_t done = 0; done < count; done += kBatch) {
      const std::int64_t batch = std::min(kBatch, count - done);
      read(first + done, batch, rows.data());
      for (std::int64_t i = 0; i < batch; ++i) {
        score_row(rows.data() + i * dim(), query, dots[done + i], squared_norms[done + i]);
      }
    }
  }

 private:
  using Scratch = std::vector<float>;

  Scratch scratch(std::int64_t count) const {
    return Scratch(static_cast<std::size_t>(std::min(kBatch, count) * latents_->dim()));
  }

  float scale(std::int64_t row) const {
    if (decoding_.scales == nullptr) return 1.0f;
    return float_from_half(decoding_.scales[row]) * decoding_.gain;
  }

  template <class IdOf>
  void decode(const float* latents, std::int64_t count, float* out, IdOf id_of) const {
    decoding_.map->apply(latents, count, out);
    for (std::int64_t i = 0; i < count; ++i, out += dim()) {
      if (decoding_.scales != nullptr) {
        const float factor = scale(row_of(id_of(i)));
        for (std::int64_t c = 0; c < dim(); ++c) out[c] *= factor;
      }
      if (!decoding_.offset.empty()) add_offset(1.0f, out);
      if (decoding_.elu) apply_elu(out, dim());
    }
  }

  void add_offset(float times, float* out) const {
    const float* offset = decoding_.offset.data();
    for (std::int64_t c = 0; c < dim(); ++c) out[c] += times * offset[c];
  }

  void sum(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
           float* out) const {
    Scratch total(static_cast<std::size_t>(latents_->dim()));
    if (decoding_.scales == nullptr) {
      latents_->bag(ids, weights, mode, total.data());
    } else {
      std::vector<float> scaled(ids.size());
      const float share = mode == BagMode::kMean ? 1.0f / static_cast<float>(ids.size()) : 1.0f;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        scaled[i] = scale(row_of(ids[i])) * (weights == nullptr ? share : weights[i]);
      }
      latents_->bag(ids, scaled.data(), BagMode::kSum, total.data());
    }
    decoding_.map->apply(total.data(), 1, out);
    if (decoding_.offset.empty()) return;
    float times = mode == BagMode::kMean ? 1.0f : static_cast<float>(ids.size());
    if (weights != nullptr) {
      times = 0.0f;
      for (std::size_t i = 0; i < ids.size(); ++i) times += weights[i];
    }
    add_offset(times, out);
  }

  void largest(std::span<const std::int64_t> ids, float* out) const {
    std::fill_n(out, dim(), -std::numeric_limits<float>::infinity());
    for_each_row(ids, [&](std::size_t, const float* row) {
      for (std::int64_t c = 0; c < dim(); ++c) out[c] = row[c] > out[c] ? row[c] : out[c];
    });
  }

  void sum_rows(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
                float* out) const {
    std::fill_n(out, dim(), 0.0f);
    for_each_row(ids, [&](std::size_t i, const float* row) {
      const float weight = weights == nullptr ? 1.0f : weights[i];
      for (std::int64_t c = 0; c < dim(); ++c) out[c] += row[c] * weight;
    });
    if (mode != BagMode::kMean) return;
    for (std::int64_t c = 0; c < dim(); ++c) out[c] /= static_cast<float>(ids.size());
  }

  // Calls use(i, row of ids[i]) in order.
  template <class Use>
  void for_each_row(std::span<const std::int64_t> ids, Use use) const {
    constexpr std::size_t kRows = kBatch;
    std::vector<float> rows(std::min(kRows, ids.size()) * static_cast<std::size_t>(dim()));
    for (std::size_t done = 0; done < ids.size(); done += kRows) {
      const std::size_t batch = std::min(kRows, ids.size() - done);
      gather(ids, done, batch, rows.data());
      const float* row = rows.data();
      for (std::size_t i = 0; i < batch; ++i, row += dim()) use(done + i, row);
    }
  }

  // Sixteen sums, whatever the instruction set; products of floats are exact in double.
  void score_row(const float* row, const float* query, double& dot, double& squared_norm) const {
    constexpr std::int64_t kLanes = 16;
    std::array<double, kLanes> dots{};
    std::array<double, kLanes> squares{};
    const auto add = [&](std::int64_t column, std::size_t lane) {
      const double value = row[column];
      dots[lane] += value * static_cast<double>(query[column]);
      squares[lane] += value * value;
    };
    std::int64_t c = 0;
    for (; c + kLanes <= dim(); c += kLanes) {
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        add(c + lane, static_cast<std::size_t>(lane));
      }
    }
    for (std::int64_t lane = 0; c + lane < dim(); ++lane) {
      add(c + lane, static_cast<std::size_t>(lane));
    }
    dot = 0.0;
    squared_norm = 0.0;
    for (std::size_t lane = 0; lane < dots.size(); ++lane) {
      dot += dots[lane];
      squared_norm += squares[lane];
    }
  }

  std::shared_ptr<const RowReader> latents_;
  Decoding decoding_;
};

}  // namespace

std::unique_ptr<RowReader> make_transformed_reader(std::shared_ptr<const RowReader> latents,
                                                   Decoding decoding) {
  return std::make_unique<TransformedReader>(std::move(latents), std::move(decoding));
}

}  // namespace emcomp
