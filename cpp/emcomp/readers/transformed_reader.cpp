#include "emcomp/readers/transformed_reader.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>

#include "emcomp/base/half.hpp"
#include "emcomp/networks/elu.hpp"
#include "emcomp/readers/score_row.hpp"

namespace emcomp::readers {

namespace {

// Rows multiplied together: their latents and the rows stay in the second-level cache.
constexpr std::int64_t kLatentBatch = 64;

class TransformedReader final : public RowReader {
 public:
  TransformedReader(std::shared_ptr<const RowReader> latents, Decoding decoding)
      : RowReader(latents->rows(), decoding.map->outputs()),
        latents_(std::move(latents)),
        decoding_(std::move(decoding)) {}

  void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
              float* out) const override {
    Scratch latents = scratch(static_cast<std::int64_t>(count));
    for (std::size_t done = 0; done < count; done += kLatentBatch) {
      const std::size_t batch = std::min<std::size_t>(kLatentBatch, count - done);
      latents_->gather(ids, first + done, batch, latents.data());
      decode(latents.data(), static_cast<std::int64_t>(batch), out,
             [&](std::int64_t i) { return ids[first + done + static_cast<std::size_t>(i)]; });
      out += static_cast<std::int64_t>(batch) * dim();
    }
  }

  void read(std::int64_t first, std::int64_t count, float* out) const override {
    Scratch latents = scratch(count);
    for (std::int64_t done = 0; done < count; done += kLatentBatch) {
      const std::int64_t batch = std::min(kLatentBatch, count - done);
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

  Query prepare(std::vector<float> values) const override {
    if (decoding_.elu) return {std::move(values), nullptr};
    std::vector<float> mapped(static_cast<std::size_t>(latents_->dim()));
    decoding_.map->apply_transposed(values.data(), mapped.data());
    return {std::move(values), std::make_unique<Query>(latents_->prepare(std::move(mapped)))};
  }

  // Dot products are those of the latents, but for ELU. So are norms where the map is orthonormal;
  // elsewhere those of the decoded rows are kept, since a query after the first would decode all
  // rows again.
  void score(std::int64_t first, std::int64_t count, const Query& query, double* dots,
             double* squared_norms) const override {
    if (decoding_.elu) {
      score_decoded(first, count, query, dots, squared_norms);
      return;
    }
    const bool isometric = decoding_.orthonormal && decoding_.offset.empty();
    latents_->score(first, count, *query.latents, dots, squared_norms);
    double shift = 0.0;
    for (std::size_t c = 0; c < decoding_.offset.size(); ++c) {
      shift += static_cast<double>(decoding_.offset[c]) * static_cast<double>(query.values[c]);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const auto factor = static_cast<double>(scale(first + i));
      dots[i] = dots[i] * factor + shift;
      if (isometric) squared_norms[i] *= factor * factor;
    }
    if (!isometric) norms_of_rows(first, count, squared_norms);
  }

 private:
  using Scratch = std::vector<float>;

  Scratch scratch(std::int64_t count) const {
    return Scratch(static_cast<std::size_t>(std::min(kLatentBatch, count) * latents_->dim()));
  }

  void score_decoded(std::int64_t first, std::int64_t count, const Query& query, double* dots,
                     double* squared_norms) const {
    std::vector<float> decoded(static_cast<std::size_t>(std::min(kLatentBatch, count) * dim()));
    for (std::int64_t done = 0; done < count; done += kLatentBatch) {
      const std::int64_t batch = std::min(kLatentBatch, count - done);
      read(first + done, batch, decoded.data());
      for (std::int64_t i = done; i < done + batch; ++i) {
        const float* row = decoded.data() + (i - done) * dim();
        score_row(row, query.values.data(), dim(), dots[i], squared_norms[i]);
      }
    }
  }

  void norms_of_rows(std::int64_t first, std::int64_t count, double* squared_norms) const {
    std::call_once(norms_made_, [&] {
      norms_ = std::make_unique<std::atomic<double>[]>(static_cast<std::size_t>(this->rows()));
    });
    std::vector<float> decoded;
    for (std::int64_t done = 0; done < count; done += kLatentBatch) {
      const std::int64_t batch = std::min(kLatentBatch, count - done);
      std::atomic<double>* known = norms_.get() + first + done;
      double* out = squared_norms + done;
      std::transform(known, known + batch, out,
                     [](const auto& norm) { return norm.load(std::memory_order_relaxed); });
      if (std::find(out, out + batch, 0.0) == out + batch) continue;  // zero: not known yet
      decoded.resize(static_cast<std::size_t>(std::min(kLatentBatch, count) * dim()));
      read(first + done, batch, decoded.data());
      for (std::int64_t i = 0; i < batch; ++i) {
        double dot = 0.0;
        const float* row = decoded.data() + i * dim();
        score_row(row, row, dim(), dot, out[i]);
        known[i].store(out[i], std::memory_order_relaxed);
      }
    }
  }

  float scale(std::int64_t row) const {
    if (decoding_.scales == nullptr) return 1.0f;
    return base::float_from_half(decoding_.scales[row]) * decoding_.gain;
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
      if (decoding_.elu) networks::apply_elu(out, dim());
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
    constexpr std::size_t kRows = kLatentBatch;
    std::vector<float> rows(std::min(kRows, ids.size()) * static_cast<std::size_t>(dim()));
    for (std::size_t done = 0; done < ids.size(); done += kRows) {
      const std::size_t batch = std::min(kRows, ids.size() - done);
      gather(ids, done, batch, rows.data());
      const float* row = rows.data();
      for (std::size_t i = 0; i < batch; ++i, row += dim()) use(done + i, row);
    }
  }

  std::shared_ptr<const RowReader> latents_;
  Decoding decoding_;
  mutable std::once_flag norms_made_;
  mutable std::unique_ptr<std::atomic<double>[]> norms_;  // [rows], squared, zero until computed
};

}  // namespace

std::unique_ptr<RowReader> make_transformed_reader(std::shared_ptr<const RowReader> latents,
                                                   Decoding decoding) {
  return std::make_unique<TransformedReader>(std::move(latents), std::move(decoding));
}

}  // namespace emcomp::readers
