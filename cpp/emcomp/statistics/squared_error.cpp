#include "emcomp/statistics/squared_error.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "emcomp/base/parallel.hpp"

namespace emcomp::statistics {

namespace {

// Partial sums that a vector unit can add side by side; their number is part of the result.
constexpr std::size_t kSums = 8;

struct Sums {
  std::array<double, kSums> errors{};
  std::array<double, kSums> totals{};

  void add(const double* x, const double* approximation, std::size_t count) {
    const auto add_one = [&](std::size_t i, std::size_t lane) {
      const double difference = x[i] - approximation[i];
      errors[lane] += difference * difference;
      totals[lane] += x[i] * x[i];
    };
    std::size_t i = 0;
    for (; i + kSums <= count; i += kSums) {
      for (std::size_t lane = 0; lane < kSums; ++lane) add_one(i + lane, lane);
    }
    for (std::size_t lane = 0; i + lane < count; ++lane) add_one(i + lane, lane);
  }
};

Sums sum_rows(const base::MatrixView& table, const base::MatrixView& approximation,
              std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kRows = 16;  // few enough to stay in the first or second cache
  std::vector<double> x(static_cast<std::size_t>(kRows * table.dim));
  std::vector<double> decoded(x.size());
  Sums sums;
  for (std::int64_t first = begin; first < end; first += kRows) {
    const std::int64_t count = std::min(kRows, end - first);
    base::load_rows(table, first, count, x.data());
    base::load_rows(approximation, first, count, decoded.data());
    sums.add(x.data(), decoded.data(), static_cast<std::size_t>(count * table.dim));
  }
  return sums;
}

}  // namespace

void SquaredError::update(const base::MatrixView& table, const base::MatrixView& approximation,
                          int threads) {
  std::vector<Sums> blocks(
      static_cast<std::size_t>((table.rows + base::kBlockRows - 1) / base::kBlockRows));
  base::parallel_blocks(table.rows, base::kBlockRows,
                        base::threads_for(table.rows * table.dim, threads),
                        [&](std::int64_t begin, std::int64_t end) {
                          blocks[static_cast<std::size_t>(begin / base::kBlockRows)] =
                              sum_rows(table, approximation, begin, end);
                        });
  for (const Sums& block : blocks) {
    error_ = std::accumulate(block.errors.begin(), block.errors.end(), error_);
    total_ = std::accumulate(block.totals.begin(), block.totals.end(), total_);
  }
}

void SquaredError::merge(const SquaredError& following) {
  error_ += following.error_;
  total_ += following.total_;
}

}  // namespace emcomp::statistics
