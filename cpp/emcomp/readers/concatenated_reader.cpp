#include "emcomp/readers/concatenated_reader.hpp"

#include <algorithm>
#include <utility>

#include "emcomp/readers/whole_row_reader.hpp"

namespace emcomp::readers {

namespace {

class Parts {
 public:
  explicit Parts(std::vector<std::shared_ptr<const RowReader>> readers)
      : readers_(std::move(readers)) {
    for (const auto& reader : readers_) {
      begins_.push_back(begins_.back() + reader->rows());
    }
  }

  const RowReader& front() const { return *readers_.front(); }
  std::int64_t rows() const { return begins_.back(); }
  std::int64_t dim() const { return readers_.front()->dim(); }

  void decode(std::int64_t row, float* out) const {
    const std::size_t part = part_of(row);
    readers_[part]->read(row - begins_[part], 1, out);
  }

  void prefetch(std::int64_t row) const {
    const std::size_t part = part_of(row);
    const std::int64_t id = row - begins_[part];
    readers_[part]->prefetch({&id, 1});
  }

  // Calls visit(reader, first row in it, count, rows done before) for rows [first, first + count).
  template <class Visit>
  void for_each_run(std::int64_t first, std::int64_t count, Visit visit) const {
    for (std::int64_t done = 0; done < count;) {
      const std::size_t part = part_of(first + done);
      const std::int64_t run = std::min(begins_[part + 1] - (first + done), count - done);
      visit(*readers_[part], first + done - begins_[part], run, done);
      done += run;
    }
  }

 private:
  std::size_t part_of(std::int64_t row) const {
    const auto next = std::upper_bound(begins_.begin(), begins_.end(), row);
    return static_cast<std::size_t>(next - begins_.begin()) - 1;
  }

  std::vector<std::shared_ptr<const RowReader>> readers_;
  std::vector<std::int64_t> begins_{0};  // of each part, and where the last one ends
};

class ConcatenatedReader final : public RowReader {
 public:
  explicit ConcatenatedReader(Parts parts)
      : RowReader(parts.rows(), parts.dim()),
        parts_(std::move(parts)),
        single_rows_(rows(), dim(), parts_) {}

  void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
              float* out) const override {
    single_rows_.gather(ids, first, count, out);
  }

  void read(std::int64_t first, std::int64_t count, float* out) const override {
    parts_.for_each_run(first, count,
                        [&](const RowReader& part, std::int64_t begin, std::int64_t run,
                            std::int64_t done) { part.read(begin, run, out + done * dim()); });
  }

  void prefetch(std::span<const std::int64_t> ids) const override { single_rows_.prefetch(ids); }

  void bag(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
           float* out) const override {
    single_rows_.bag(ids, weights, mode, out);
  }

  // All parts decode alike, so that what one of them makes of a query serves all.
  Query prepare(std::vector<float> values) const override {
    return parts_.front().prepare(std::move(values));
  }

  void score(std::int64_t first, std::int64_t count, const Query& query, double* dots,
             double* squared_norms) const override {
    parts_.for_each_run(
        first, count,
        [&](const RowReader& part, std::int64_t begin, std::int64_t run, std::int64_t done) {
          part.score(begin, run, query, dots + done, squared_norms + done);
        });
  }

 private:
  Parts parts_;
  WholeRowReader<Parts> single_rows_;
};

}  // namespace

std::shared_ptr<const RowReader> make_concatenated_reader(
    std::vector<std::shared_ptr<const RowReader>> parts) {
  return std::make_shared<ConcatenatedReader>(Parts(std::move(parts)));
}

}  // namespace emcomp::readers
