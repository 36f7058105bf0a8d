#include "emcomp/codes/additive_codebooks.hpp"

#include <Eigen/Cholesky>
#include <algorithm>

#include "emcomp/base/index.hpp"
#include "emcomp/base/parallel.hpp"

namespace emcomp::codes {

namespace {}  // namespace

AdditiveStatistics::AdditiveStatistics(const AdditiveShape& shape)
    : shape_(shape),
      meetings_(base::at(shape.all_codewords() * shape.all_codewords())),
      sums_(base::at(shape.all_codewords() * shape.dim)) {}

void AdditiveStatistics::update(const base::MatrixView& matrix, const std::uint8_t* codes,
                                int threads) {
  const std::int64_t all = shape_.all_codewords();
  const std::int64_t dim = shape_.dim;
  constexpr std::int64_t kRows = 4096;
  std::vector<float> scratch(matrix.is_plain() ? 0 : base::at(std::min(kRows, matrix.rows) * dim));
  std::vector<std::uint8_t> columns(base::at(std::min(kRows, matrix.rows) * shape_.codes));
  for (std::int64_t begin = 0; begin < matrix.rows; begin += kRows) {
    const std::int64_t count = std::min(kRows, matrix.rows - begin);
    const float* rows = base::rows_as_float(matrix, begin, count, scratch.data());
    for (std::int64_t r = 0; r < count; ++r) {
      for (std::int64_t m = 0; m < shape_.codes; ++m) {
        columns[base::at(m * count + r)] = codes[(begin + r) * shape_.codes + m];
      }
    }
    // A codebook's own counts and sums are one thread's, so that rows are added in order.
    base::parallel_blocks(shape_.codes, 1, threads, [&](std::int64_t m, std::int64_t) {
      const std::uint8_t* own = columns.data() + m * count;
      for (std::int64_t other = m; other < shape_.codes; ++other) {
        const std::uint8_t* others = columns.data() + other * count;
        std::uint32_t* meetings =
            meetings_.data() + m * shape_.codewords * all + other * shape_.codewords;
        for (std::int64_t r = 0; r < count; ++r) ++meetings[own[r] * all + others[r]];
      }
      for (std::int64_t r = 0; r < count; ++r) {
        double* sum = sums_.data() + (m * shape_.codewords + own[r]) * dim;
        const float* row = rows + r * dim;
        for (std::int64_t c = 0; c < dim; ++c) sum[c] += static_cast<double>(row[c]);
      }
    });
  }
}

void AdditiveStatistics::merge(const AdditiveStatistics& other) {
  for (std::size_t i = 0; i < meetings_.size(); ++i) meetings_[i] += other.meetings_[i];
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
}

std::vector<std::uint32_t> AdditiveStatistics::counts() const {
  std::vector<std::uint32_t> counts;
  counts.reserve(static_cast<std::size_t>(shape_.all_codewords()));
  for (std::int64_t i = 0; i < shape_.all_codewords(); ++i) {
    counts.push_back(meetings_[base::at(i * (shape_.all_codewords() + 1))]);
  }
  return counts;
}

std::vector<float> AdditiveStatistics::solve(std::span<const float> before, int threads) const {
  using Matrix = Eigen::MatrixXd;
  constexpr double kRidge = 1e-2;  // in rows: how many the codebooks before count for
  const std::int64_t all = shape_.all_codewords();
  const std::int64_t dim = shape_.dim;
  // The meetings, row-major above the diagonal, are column-major below it.
  Matrix normal = Eigen::Map<const Eigen::Matrix<std::uint32_t, Eigen::Dynamic, Eigen::Dynamic>>(
                      meetings_.data(), all, all)
                      .cast<double>();
  normal.diagonal().array() += kRidge;
  const Eigen::LLT<Eigen::Ref<Matrix>> factors(normal);

  std::vector<float> codebooks(base::at(all * dim));
  constexpr std::int64_t kColumns = 32;
  base::parallel_blocks(dim, kColumns, threads, [&](std::int64_t begin, std::int64_t end) {
    Matrix right(all, end - begin);
    for (std::int64_t i = 0; i < all; ++i) {
      for (std::int64_t c = begin; c < end; ++c) {
        const std::int64_t entry = i * dim + c;
        right(i, c - begin) =
            sums_[base::at(entry)] + kRidge * static_cast<double>(before[base::at(entry)]);
      }
    }
    factors.solveInPlace(right);
    for (std::int64_t i = 0; i < all; ++i) {
      for (std::int64_t c = begin; c < end; ++c) {
        codebooks[base::at(i * dim + c)] = static_cast<float>(right(i, c - begin));
      }
    }
  });
  return codebooks;
}

}  // namespace emcomp::codes
