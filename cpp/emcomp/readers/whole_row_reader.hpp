// A row reader from the one thing a vector code has to say for itself: how to write a whole row.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "emcomp/readers/row_reader.hpp"
#include "emcomp/readers/score_row.hpp"

namespace emcomp::readers {

// `Rows` has: void decode(int64 row, float* out) const; void prefetch(int64 row) const.
template <class Rows>
class WholeRowReader final : public RowReader {
 public:
  WholeRowReader(std::int64_t rows, std::int64_t dim, Rows decoder)
      : RowReader(rows, dim), decoder_(std::move(decoder)) {}

  void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
              float* out) const override {
    for (std::size_t i = first; i < first + count; ++i, out += dim()) {
      if (i + kAhead < ids.size()) decoder_.prefetch(row_of(ids[i + kAhead]));
      decoder_.decode(row_of(ids[i]), out);
    }
  }

  void read(std::int64_t first, std::int64_t count, float* out) const override {
    for (std::int64_t r = first; r < first + count; ++r, out += dim()) decoder_.decode(r, out);
  }

  void prefetch(std::span<const std::int64_t> ids) const override {
    for (const std::int64_t id : ids) decoder_.prefetch(row_of(id));
  }

  void bag(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
           float* out) const override {
    const bool largest = mode == BagMode::kMax && !ids.empty();
    std::fill_n(out, dim(), largest ? -std::numeric_limits<float>::infinity() : 0.0f);
    std::vector<float> row(static_cast<std::size_t>(dim()));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      decoder_.decode(row_of(ids[i]), row.data());
      if (mode == BagMode::kMax) {
        combine(row, out, [](float most, float value) { return value > most ? value : most; });
      } else if (weights != nullptr) {
        combine(row, out, [w = weights[i]](float sum, float value) { return sum + value * w; });
      } else {
        combine(row, out, [](float sum, float value) { return sum + value; });
      }
    }
    if (mode == BagMode::kMean && !ids.empty()) {
      const auto count = static_cast<float>(ids.size());
      for (std::int64_t c = 0; c < dim(); ++c) out[c] /= count;
    }
  }

  void score(std::int64_t first, std::int64_t count, const Query& query, double* dots,
             double* squared_norms) const override {
    std::vector<float> row(static_cast<std::size_t>(dim()));
    for (std::int64_t i = 0; i < count; ++i) {
      decoder_.decode(first + i, row.data());
      score_row(row.data(), query.values.data(), dim(), dots[i], squared_norms[i]);
    }
  }

 private:
  static constexpr std::size_t kAhead = 8;  // rows asked for before they are needed

  template <class Combine>
  static void combine(const std::vector<float>& row, float* out, Combine function) {
    for (std::size_t c = 0; c < row.size(); ++c) out[c] = function(out[c], row[c]);
  }

  Rows decoder_;
};

}  // namespace emcomp::readers
