// A row reader from the one thing a scalar code has to say for itself: how to turn a chunk of
// kLanes codes of a row into a vector of floats. Lookup, bags and scores are written here once.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "emcomp/readers/row_reader.hpp"
#include "emcomp/readers/score_row.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::readers {

// `Chunks` has: Row row(int64 row) const; void prefetch(int64 row) const; and decoder() const, a
// small object for a loop to keep in registers: Floats operator()(const Row&, int64 chunk) const.
// Where four chunks, from a multiple of four on, are decoded faster together, it has
// std::array<Floats, 4> four(const Row&, int64 chunk) const. Lanes past the dimension are ignored.
// Where prefetch() looks up where a row is, there is void prefetch_place(int64 row) const, too.
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
      if constexpr (requires { chunks_.prefetch_place(0); }) {
        if (i + 2 * kAhead < ids.size()) chunks_.prefetch_place(row_of(ids[i + 2 * kAhead]));
      }
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
      if constexpr (kHasFour) {
        for (; c + 4 <= whole_; c += 4) {
          alignas(64) const std::array<simd::Floats, 4> values = decode.four(row, c);
          std::array<float, 4 * simd::kLanes> entries;
          std::memcpy(entries.data(), values.data(), sizeof entries);
          for (std::size_t k = 0; k < entries.size(); k += RowScore::kSums) {
            score.add(entries.data() + k, against + c * simd::kLanes + k);
          }
        }
      }
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
  using Decoder = decltype(std::declval<const Chunks&>().decoder());
  static constexpr bool kHasFour =
      requires(const Decoder& decode, const Row& row) { decode.four(row, 0); };
  static constexpr std::int64_t kChunksTogether = RowScore::kSums / simd::kLanes;
  static constexpr std::size_t kAhead = 8;              // rows asked for before they are needed
  static constexpr std::int64_t kStrip = simd::kLanes;  // chunks whose sums stay in registers
  static constexpr std::int64_t kShortStrip = 4;
  static constexpr std::size_t kFoldRows = 32;

  template <class Decode>
  void write_row(const Decode& decode, std::int64_t index, float* out) const {
    const auto row = chunks_.row(index);
    std::int64_t c = 0;
    if constexpr (kHasFour) {
      for (; c + 4 <= whole_; c += 4) {
        const std::array<simd::Floats, 4> values = decode.four(row, c);
        float* to = out + c * simd::kLanes;
        for (std::int64_t k = 0; k < 4; ++k) simd::store(to + k * simd::kLanes, values[k]);
      }
      if (const std::int64_t left = dim() - c * simd::kLanes; left > 0) {
        const std::array<simd::Floats, 4> values = decode.four(row, c);
        for (std::int64_t k = 0; k < 4; ++k) {
          store_some(out + (c + k) * simd::kLanes, values[k],
                     std::clamp<std::int64_t>(left - k * simd::kLanes, 0, simd::kLanes));
        }
      }
    } else {
      for (; c < whole_; ++c) {
        simd::store(out + c * simd::kLanes, decode(row, c));
      }
      if (tail_ > 0) {
        simd::store_first(out + whole_ * simd::kLanes, decode(row, whole_), tail_);
      }
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
          sums[k] = first == 0 ? simd::broadcast(start) : load(out + (c + k) * simd::kLanes, k);
        }
        for (std::size_t i = 0; i < count; ++i) {
          std::int64_t k = 0;
          if constexpr (kHasFour) {
            for (; kChunks % 4 == 0 && k + 4 <= kChunks; k += 4) {
              const std::array<simd::Floats, 4> values = decode.four(rows[i], c + k);
              for (std::int64_t j = 0; j < 4; ++j) {
                sums[k + j] = combine(sums[k + j], values[j], first + i);
              }
            }
          }
          for (; k < kChunks; ++k) sums[k] = combine(sums[k], decode(rows[i], c + k), first + i);
        }
        for (std::int64_t k = 0; k < kChunks; ++k) {
          store(out + (c + k) * simd::kLanes, sums[k], k);
        }
      };
      const auto load = [](const float* from, std::int64_t) { return simd::load(from); };
      const auto store = [](float* to, simd::Floats sum, std::int64_t) { simd::store(to, sum); };
      std::int64_t c = 0;
      for (; c + kStrip <= whole_; c += kStrip) {
        fold_strip.template operator()<kStrip>(c, load, store);
      }
      for (; c + kShortStrip <= whole_; c += kShortStrip) {
        fold_strip.template operator()<kShortStrip>(c, load, store);
      }
      if constexpr (!kHasFour) {
        for (; c < whole_; ++c) fold_strip.template operator()<1>(c, load, store);
      }
      const std::int64_t left = dim() - c * simd::kLanes;
      if (left > 0) {
        constexpr std::int64_t kRest = kHasFour ? kShortStrip : 1;
        const auto count = [left](std::int64_t k) {
          return std::clamp<std::int64_t>(left - k * simd::kLanes, 0, simd::kLanes);
        };
        fold_strip.template operator()<kRest>(
            c, [count](const float* from, std::int64_t k) { return load_some(from, count(k)); },
            [count](float* to, simd::Floats sum, std::int64_t k) {
              store_some(to, sum, count(k));
            });
      }
    }
  }

  // Up to all lanes; an address beyond the row's end is not touched.
  static simd::Floats load_some(const float* from, std::int64_t count) {
    return count == simd::kLanes ? simd::load(from) : simd::load_first(from, count);
  }
  static void store_some(float* to, simd::Floats values, std::int64_t count) {
    if (count == simd::kLanes) {
      simd::store(to, values);
    } else if (count > 0) {
      simd::store_first(to, values, count);
    }
  }

  Chunks chunks_;
  std::int64_t whole_;
  std::int64_t tail_;
};

}  // namespace emcomp::readers
