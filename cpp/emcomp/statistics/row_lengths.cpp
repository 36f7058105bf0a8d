#include "emcomp/statistics/row_lengths.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "emcomp/base/ordered.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/statistics/gram.hpp"

namespace emcomp::statistics {

namespace {

// 2^(i / 64 - 1): where the bins of an octave begin, as mantissas that frexp gives.
std::array<double, 64> mantissas() {
  std::array<double, 64> found;
  const double step = std::sqrt(std::sqrt(std::sqrt(std::sqrt(std::sqrt(std::sqrt(2.0))))));
  double value = 0.5;
  for (double& mantissa : found) {
    mantissa = value;
    value *= step;
  }
  return found;
}

std::size_t length_bin(double length, const std::array<double, 64>& begins) {
  int octave = 0;
  const double mantissa = std::frexp(length, &octave);
  const auto above = std::upper_bound(begins.begin() + 1, begins.end(), mantissa);
  const std::int64_t bin = 64 * (octave - 1 + kLengthOctaves) + (above - begins.begin() - 1);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(bin, 0, kLengthBins - 1));
}

}  // namespace

void add_squares(const base::MatrixView& rows, std::span<const float> centre, int threads,
                 std::span<double> squares, std::span<double> lengths) {
  const auto dim = static_cast<std::size_t>(rows.dim);
  const std::array<double, 64> begins = mantissas();
  struct Scratch {
    std::vector<float> row;
    std::vector<double> squares;
    std::vector<std::size_t> bins;
  };
  base::parallel_in_order(
      (rows.rows + kSumRows - 1) / kSumRows, threads,
      [&] { return Scratch{std::vector<float>(dim), std::vector<double>(dim), {}}; },
      [&](std::int64_t index, Scratch& scratch) {
        std::fill(scratch.squares.begin(), scratch.squares.end(), 0.0);
        scratch.bins.clear();
        const std::int64_t end = std::min((index + 1) * kSumRows, rows.rows);
        for (std::int64_t r = index * kSumRows; r < end; ++r) {
          const float* row = base::rows_as_float(rows, r, 1, scratch.row.data());
          double sum = 0.0;
          for (std::size_t c = 0; c < dim; ++c) {
            const float entry = centre.empty() ? row[c] : row[c] - centre[c];
            const double square = double{entry} * double{entry};
            scratch.squares[c] += square;
            sum += square;
          }
          if (sum > 0.0) {
            scratch.bins.push_back(length_bin(std::sqrt(sum / static_cast<double>(dim)), begins));
          }
        }
      },
      [&](std::int64_t, Scratch& scratch) {
        for (std::size_t c = 0; c < dim; ++c) squares[c] += scratch.squares[c];
        for (const std::size_t bin : scratch.bins) lengths[bin] += 1.0;
      });
}

}  // namespace emcomp::statistics
