#include "emcomp/squared_error.hpp"

#include <array>
#include <vector>

#include "emcomp/parallel.hpp"

namespace emcomp {

namespace {

struct Sums {
  double error = 0.0;
  double total = 0.0;
};

// Lanes that a vector unit can add side by side; their number is part of the result.
Sums sum_block(const double* x, const double* approximation, std::int64_t count) {
  constexpr std::int64_t kLanes = 8;
  std::array<double, kLanes> errors{};
  std::array<double, kLanes> totals{};
  const auto add = [&](std::int64_t i, std::int64_t lane) {
    const double difference = x[i] - approximation[i];
    errors[static_cast<std::size_t>(lane)] += difference * difference;
    totals[static_cast<std::size_t>(lane)] += x[i] * x[i];
  };
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  }
  for (std::int64_t lane = 0; i + lane < count; ++lane) add(i + lane, lane);
  Sums sums;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    sums.error += errors[lane];
    sums.total += totals[lane];
  }
  return sums;
}

}  // namespace

void SquaredError::update(const MatrixView& table, const MatrixView& approximation, int threads) {
  const std::int64_t dim = table.dim;
  std::vector<Sums> sums(static_cast<std::size_t>((table.rows + kBlockRows - 1) / kBlockRows));
  parallel_blocks(table.rows, kBlockRows, threads_for(table.rows * dim, threads),
                  [&](std::int64_t begin, std::int64_t end) {
                    const std::int64_t count = end - begin;
                    std::vector<double> values(static_cast<std::size_t>(2 * count * dim));
                    double* decoded = values.data() + count * dim;
                    load_rows(table, begin, count, values.data());
                    load_rows(approximation, begin, count, decoded);
                    sums[static_cast<std::size_t>(begin / kBlockRows)] =
                        sum_block(values.data(), decoded, count * dim);
                  });
  for (const Sums& block : sums) {
    error_ += block.error;
    total_ += block.total;
  }
}

void SquaredError::merge(const SquaredError& following) {
  error_ += following.error_;
  total_ += following.total_;
}

}  // namespace emcomp
