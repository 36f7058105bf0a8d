#include "emcomp/codes/trellis_classes.hpp"

#include <algorithm>
#include <cmath>

#include "emcomp/base/ordered.hpp"
#include "emcomp/base/parallel.hpp"

namespace emcomp::codes {

namespace {

constexpr std::int64_t kSummedRows = 4096;  // by one thread before they are merged

// Looks at one row after another, for one thread.
class RowClassifier {
 public:
  RowClassifier(const base::MatrixView& rows, std::span<const float> offset,
                const TrellisClasses& classes)
      : rows_(rows),
        offset_(offset),
        classes_(classes),
        scratch_(static_cast<std::size_t>(rows.dim)),
        squares_(scratch_.size()),
        energies_(classes.groups()) {}

  std::size_t choose(std::int64_t row) {
    const float* entries = base::rows_as_float(rows_, row, 1, scratch_.data());
    std::size_t column = 0;
    square_ = 0.0;
    for (std::size_t group = 0; group < energies_.size(); ++group) {
      double sum = 0.0;
      for (; column < static_cast<std::size_t>(classes_.ends[group]); ++column) {
        const float entry = offset_.empty() ? entries[column] : entries[column] - offset_[column];
        squares_[column] = double{entry} * double{entry};
        sum += squares_[column];
      }
      energies_[group] = sum;
      square_ += sum;
    }
    std::size_t best = 0;
    double least = 0.0;
    for (std::size_t c = 0; c < classes_.count(); ++c) {
      double cost = classes_.costs[c];
      const double* prices = classes_.prices.data() + c * energies_.size();
      for (std::size_t group = 0; group < energies_.size(); ++group) {
        cost += energies_[group] * prices[group];
      }
      if (c == 0 || cost < least) {
        best = c;
        least = cost;
      }
    }
    return best;
  }

  // Of the row that was looked at last.
  const std::vector<double>& squares() const { return squares_; }
  double square() const { return square_; }

 private:
  const base::MatrixView& rows_;
  std::span<const float> offset_;
  const TrellisClasses& classes_;
  std::vector<float> scratch_;
  std::vector<double> squares_;
  std::vector<double> energies_;
  double square_ = 0.0;
};

}  // namespace

void choose_classes(const base::MatrixView& rows, std::span<const float> offset,
                    const TrellisClasses& classes, std::uint8_t* chosen, int threads) {
  base::parallel_blocks(rows.rows, base::kBlockRows, threads,
                        [&](std::int64_t begin, std::int64_t end) {
                          RowClassifier classifier(rows, offset, classes);
                          for (std::int64_t r = begin; r < end; ++r) {
                            chosen[r] = static_cast<std::uint8_t>(classifier.choose(r));
                          }
                        });
}

void add_class_sums(const base::MatrixView& rows, std::span<const float> offset,
                    const TrellisClasses& classes, double power, const ClassSums& sums,
                    int threads) {
  const auto dim = static_cast<std::size_t>(rows.dim);
  struct Scratch {
    RowClassifier classifier;
    std::vector<double> squares;
    std::vector<double> rows;
    std::vector<double> weights;
  };
  base::parallel_in_order(
      (rows.rows + kSummedRows - 1) / kSummedRows, threads,
      [&] {
        return Scratch{RowClassifier(rows, offset, classes),
                       std::vector<double>(classes.count() * dim),
                       std::vector<double>(classes.count()), std::vector<double>(classes.count())};
      },
      [&](std::int64_t index, Scratch& scratch) {
        for (auto* part : {&scratch.squares, &scratch.rows, &scratch.weights}) {
          std::fill(part->begin(), part->end(), 0.0);
        }
        const std::int64_t end = std::min((index + 1) * kSummedRows, rows.rows);
        for (std::int64_t r = index * kSummedRows; r < end; ++r) {
          const std::size_t c = scratch.classifier.choose(r);
          const std::vector<double>& squares = scratch.classifier.squares();
          for (std::size_t j = 0; j < dim; ++j) scratch.squares[c * dim + j] += squares[j];
          scratch.rows[c] += 1.0;
          const double length = std::sqrt(scratch.classifier.square() / static_cast<double>(dim));
          if (length > 0.0) scratch.weights[c] += std::pow(length, -power);
        }
      },
      [&](std::int64_t, Scratch& scratch) {
        const auto add = [](const std::vector<double>& from, std::span<double> to) {
          for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
        };
        add(scratch.squares, sums.squares);
        add(scratch.rows, sums.rows);
        add(scratch.weights, sums.weights);
      });
}

}  // namespace emcomp::codes
