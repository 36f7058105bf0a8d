// What a decoded row has to do with a query.
#pragma once

#include <array>
#include <cstdint>

namespace emcomp {

// The dot product of a row with a query, and the row's squared norm. Sixteen sums, whatever the
// instruction set; products of floats are exact in double.
inline void score_row(const float* row, const float* query, std::int64_t dim, double& dot,
                      double& squared_norm) {
  constexpr std::int64_t kSums = 16;
  std::array<double, kSums> dots{};
  std::array<double, kSums> squares{};
  const auto add = [&](std::int64_t column, std::int64_t sum) {
    const double value = row[column];
    dots[static_cast<std::size_t>(sum)] += value * static_cast<double>(query[column]);
    squares[static_cast<std::size_t>(sum)] += value * value;
  };
  std::int64_t c = 0;
  for (; c + kSums <= dim; c += kSums) {
    for (std::int64_t sum = 0; sum < kSums; ++sum) add(c + sum, sum);
  }
  for (std::int64_t sum = 0; c + sum < dim; ++sum) add(c + sum, sum);
  dot = 0.0;
  squared_norm = 0.0;
  for (std::size_t sum = 0; sum < kSums; ++sum) {
    dot += dots[sum];
    squared_norm += squares[sum];
  }
}

}  // namespace emcomp
