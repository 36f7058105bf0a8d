// A row reader from the one thing a scalar code has to say for itself: how to turn a chunk of
// kLanes codes of a row into a vector of floats. Lookup, bags and scores are written here once.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "emcomp/readers/row_reader.hpp"
#include "emcomp/readers/score_row.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::readers {

// `Chunks` has: Row row(int64 row) const; void prefetch(int64 row) const; and decoder() const, a
// small object for a loop to keep in registers: Floats operator()(const Row&, int64 chunk) const.
// Lanes past the dimension are ignored.
template <class Chunks>
class ChunkReader final : public RowReader {
 public:
  ChunkReader(std::int64_t rows, std::int64_t dim, Chunks chunks)
      : RowReader(rows, dim),
        chunks_(std::move(chunks)),
        whole_(dim / simd::kLanes),
        tail_(dim % simd::kLanes) {}

  void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
              float* out) const override {
    const auto decode = chunks_.decoder();
    for (std::size_t i = first; i < first + count; ++i, out += dim()) {
      if (i + kAhead < ids.size()) chunks_.prefetch(row_of(ids[i + kAhead]));
      write_row(decode, row_of(ids[i]), out);
    }
  }

  void read(std::int64_t first, std::int64_t count, float* out) const override {
    const auto decode = chunks_.decoder();
    for (std::int64_t r = first; r < first + count; ++r, out += dim()) write_row(decode, r, out);
  }

  void prefetch(std::span<const std::int64_t> ids) const override {
    for (const std::int64_t id : ids) chunks_.prefetch(row_of(id));
  }

  void bag(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
           float* out) const override {
    if (ids.empty()) {
      std::fill_n(out, dim(), 0.0f);
    } else if (mode == BagMode::kMax) {
      fold(ids, out, -std::numeric_limits<float>::infinity(),
           [](simd::Floats sum, simd::Floats row, std::size_t) { return simd::maximum(sum, row); });
    } else if (weights != nullptr) {
      fold(ids, out, 0.0f, [weights](simd::Floats sum, simd::Floats row, std::size_t i) {
        return sum + row * weights[i];
      });
    } else {
      fold(ids, out, 0.0f,
           [](simd::Floats sum, simd::Floats row, std::size_t) { return sum + row; });
      if (mode == BagMode::kMean) {
        const auto count = static_cast<float>(ids.size());
        for (std::int64_t c = 0; c < dim(); ++c) out[c] /= count;
      }
    }
  }

  void score(std::int64_t first, std::int64_t count, const Query& query, double* dots,
             double* squared_norms) const override {
    const float* against = query.values.data();
    const auto decode = chunks_.decoder();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = chunks_.row(first + i);
      RowScore score;
      std::int64_t c = 0;
      for (; (c + kChunksTogether) <= whole_; c += kChunksTogether) {
        alignas(64) std::array<float, RowScore::kSums> values;
        for (std::int64_t k = 0; k < kChunksTogether; ++k) {
          simd::store(values.data() + k * simd::kLanes, decode(row, c + k));
        }
        score.add(values.data(), against + c * simd::kLanes);
      }
      const std::int64_t rest = dim() - c * simd::kLanes;
      if (rest > 0) {
        std::array<float, RowScore::kSums> values{};
        for (std::int64_t k = 0; k * simd::kLanes < rest; ++k) {
          simd::store(values.data() + k * simd::kLanes, decode(row, c + k));
        }
        score.add_first(values.data(), against + c * simd::kLanes, rest);
      }
      dots[i] = score.dot();
      squared_norms[i] = score.squared_norm();
    }
  }

 private:
  using Row = typename Chunks::Row;
  static constexpr std::int64_t kChunksTogether = RowScore::kSums / simd::kLanes;
  static constexpr std::size_t kAhead = 8;              // rows asked for before they are needed
  static constexpr std::int64_t kStrip = simd::kLanes;  // chunks whose sums stay in registers
  static constexpr std::int64_t kShortStrip = 4;
  static constexpr std::size_t kFoldRows = 32;

  template <class Decode>
  void write_row(const Decode& decode, std::int64_t index, float* out) const {
    const auto row = chunks_.row(index);
    for (std::int64_t c = 0; c < whole_; ++c) {
      simd::store(out + c * simd::kLanes, decode(row, c));
    }
    if (tail_ > 0) {
      simd::store_first(out + whole_ * simd::kLanes, decode(row, whole_), tail_);
    }
  }

  // Folds the rows of ids into out, a few rows at a time: those stay in the first-level cache
  // while strip after strip is summed in registers.
  template <class Combine>
  void fold(std::span<const std::int64_t> ids, float* out, float start, Combine combine) const {
    const auto decode = chunks_.decoder();
    std::array<Row, kFoldRows> rows;
    for (std::size_t first = 0; first < ids.size(); first += kFoldRows) {
      const std::size_t count = std::min(kFoldRows, ids.size() - first);
      for (std::size_t i = 0; i < count; ++i) rows[i] = chunks_.row(row_of(ids[first + i]));
      if (first + count < ids.size()) {
        prefetch(ids.subspan(first + count, std::min(kFoldRows, ids.size() - first - count)));
      }
      const auto fold_strip = [&]<std::int64_t kChunks>(std::int64_t c, auto load, auto store) {
        std::array<simd::Floats, kChunks> sums;
        for (std::int64_t k = 0; k < kChunks; ++k) {
          sums[k] = first == 0 ? simd::broadcast(start) : load(out + (c + k) * simd::kLanes);
        }
        for (std::size_t i = 0; i < count; ++i) {
          for (std::int64_t k = 0; k < kChunks; ++k) {
            sums[k] = combine(sums[k], decode(rows[i], c + k), first + i);
          }
        }
        for (std::int64_t k = 0; k < kChunks; ++k) store(out + (c + k) * simd::kLanes, sums[k]);
      };
      std::int64_t c = 0;
      for (; c + kStrip <= whole_; c += kStrip) {
        fold_strip.template operator()<kStrip>(c, simd::load, simd::store);
      }
      for (; c + kShortStrip <= whole_; c += kShortStrip) {
        fold_strip.template operator()<kShortStrip>(c, simd::load, simd::store);
      }
      for (; c < whole_; ++c) fold_strip.template operator()<1>(c, simd::load, simd::store);
      if (tail_ > 0) {
        fold_strip.template operator()<1>(
            c, [this](const float* from) { return simd::load_first(from, tail_); },
            [this](float* to, simd::Floats sum) { simd::store_first(to, sum, tail_); });
      }
    }
  }

  Chunks chunks_;
  std::int64_t whole_;
  std::int64_t tail_;
};

}  // namespace emcomp::readers
