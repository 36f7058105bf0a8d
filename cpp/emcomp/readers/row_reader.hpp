// What every compressed table can do with its rows, whatever they are made of. A reader is
// immutable and its calls run on the calling thread: any number of threads may share it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace emcomp::readers {

enum class BagMode : std::uint8_t { kSum, kMean, kMax };

// A vector to score rows against, and what that is for the latents that rows are made of.
struct Query {
  std::vector<float> values;
  std::unique_ptr<const Query> latents;
};

class RowReader {
 public:
  RowReader(std::int64_t rows, std::int64_t dim) : rows_(rows), dim_(dim) {}
  virtual ~RowReader() = default;
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  std::int64_t rows() const { return rows_; }
  std::int64_t dim() const { return dim_; }

  // Rows of ids [first, first + count) of a longer list, as float32, to out [count, dim]. Ids are
  // in
  // [-rows, rows); negative ones count from the end. The ids that follow are asked of the memory.
  virtual void gather(std::span<const std::int64_t> ids, std::size_t first, std::size_t count,
                      float* out) const = 0;

  // Rows [first, first + count) to out [count, dim].
  virtual void read(std::int64_t first, std::int64_t count, float* out) const = 0;

  // Asks the memory for rows that will be read soon.
  virtual void prefetch(std::span<const std::int64_t> ids) const = 0;

  // The sum, mean or maximum of the rows of ids, added up in the order of ids, to out [dim]; zeros
  // where there are none. Weights (only with kSum) may be null.
  virtual void bag(std::span<const std::int64_t> ids, const float* weights, BagMode mode,
                   float* out) const = 0;

  // A query of dim values, made ready once for all rows.
  virtual Query prepare(std::vector<float> values) const { return {std::move(values), nullptr}; }

  // For rows [first, first + count): the dot product with a prepared query, and the squared norm.
  virtual void score(std::int64_t first, std::int64_t count, const Query& query, double* dots,
                     double* squared_norms) const = 0;

 protected:
  std::int64_t row_of(std::int64_t id) const { return id < 0 ? id + rows_ : id; }

 private:
  std::int64_t rows_;
  std::int64_t dim_;
};

}  // namespace emcomp::readers
