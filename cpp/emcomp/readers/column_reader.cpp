#include "emcomp/readers/column_reader.hpp"

#include <algorithm>
#include <utility>

#include "emcomp/readers/score_row.hpp"

namespace emcomp::readers {

namespace {

// Rows read together from one part.
constexpr std::int64_t kColumnBatch = 64;

class ColumnReader final : public RowReader {
 public:
  ColumnReader(std::vector<std::shared_ptr<const RowReader>> parts,
               std::span<const std::int64_t> columns, std::span<const float> scales,
               std::int64_t dim)
      : RowReader(parts.front()->rows(), dim),
        parts_(std::move(parts)),
        columns_(columns.begin(), columns.end()),
        scales_(scales.begin(), scales.end()) {
    for (const auto& part : parts_) widest_ = std::max(widest_, part->dim());
  }

  void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
              float* out) const override {
    batches(static_cast<std::int64_t>(count), out,
            [&](const RowReader& part, std::int64_t done, std::int64_t batch, float* values) {
              part.gather(ids, first + static_cast<std::size_t>(done),
                          static_cast<std::size_t>(batch), values);
            });
  }

  void read(std::int64_t first, std::int64_t count, float* out) const override {
    batches(count, out,
            [&](const RowReader& part, std::int64_t done, std::int64_t batch, float* values) {
              part.read(first + done, batch, values);
            });
  }

  void prefetch(std::span<const std::int64_t> ids) const override {
    for (const auto& part : parts_) part->prefetch(ids);
  }

  // Scales are not negative, so that the largest of scaled values is the largest value, scaled.
  void bag(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
           float* out) const override {
    batches(1, out, [&](const RowReader& part, std::int64_t, std::int64_t, float* values) {
      part.bag(ids, weights, mode, values);
    });
  }

  void score(std::int64_t first, std::int64_t count, const Query& query, double* dots,
             double* squared_norms) const override {
    std::vector<float> rows(static_cast<std::size_t>(std::min(kColumnBatch, count) * dim()));
    for (std::int64_t done = 0; done < count; done += kColumnBatch) {
      const std::int64_t batch = std::min(kColumnBatch, count - done);
      read(first + done, batch, rows.data());
      for (std::int64_t i = 0; i < batch; ++i) {
        score_row(rows.data() + i * dim(), query.values.data(), dim(), dots[done + i],
                  squared_norms[done + i]);
      }
    }
  }

 private:
  // Rows that `fetch` reads from each part, put where they belong.
  template <class Fetch>
  void batches(std::int64_t count, float* out, Fetch fetch) const {
    std::fill_n(out, count * dim(), 0.0f);
    std::vector<float> values(static_cast<std::size_t>(std::min(kColumnBatch, count) * widest_));
    for (std::int64_t done = 0; done < count; done += kColumnBatch) {
      const std::int64_t batch = std::min(kColumnBatch, count - done);
      const std::int64_t* columns = columns_.data();
      const float* scales = scales_.data();
      for (const auto& part : parts_) {
        fetch(*part, done, batch, values.data());
        const std::int64_t width = part->dim();
        for (std::int64_t r = 0; r < batch; ++r) {
          const float* from = values.data() + r * width;
          float* to = out + (done + r) * dim();
          for (std::int64_t c = 0; c < width; ++c) to[columns[c]] = from[c] * scales[c];
        }
        columns += width;
        scales += width;
      }
    }
  }

  std::vector<std::shared_ptr<const RowReader>> parts_;
  std::vector<std::int64_t> columns_;
  std::vector<float> scales_;
  std::int64_t widest_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> make_column_reader(std::vector<std::shared_ptr<const RowReader>> parts,
                                              std::span<const std::int64_t> columns,
                                              std::span<const float> scales, std::int64_t dim) {
  return std::make_unique<ColumnReader>(std::move(parts), columns, scales, dim);
}

}  // namespace emcomp::readers
