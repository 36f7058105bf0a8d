#include "emcomp/kmeans/optimal_levels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace emcomp::kmeans {

namespace {

struct Sums {
  double count = 0.0;
  double sum = 0.0;     // of values less the centre
  double square = 0.0;  // of the same, squared

  Sums operator+(const Sums& o) const { return {count + o.count, sum + o.sum, square + o.square}; }
  Sums operator-(const Sums& o) const { return {count - o.count, sum - o.sum, square - o.square}; }
  // Squared error of these values against their mean.
  double error() const { return std::max(square - sum * sum / count, 0.0); }
};

// Bins with running sums. They run from the middle bin outwards, and values are taken from its
// mean: large values at the ends then do not cost the small ones between them their digits.
class BinSums {
 public:
  explicit BinSums(std::vector<statistics::ValueBin> bins)
      : bins_(std::move(bins)), below_(bins_.size() + 1) {
    double total = 0.0;
    for (const statistics::ValueBin& bin : bins_) total += static_cast<double>(bin.count);
    std::size_t middle = 0;
    for (double seen = 0.0; middle + 1 < bins_.size(); ++middle) {
      seen += static_cast<double>(bins_[middle].count);
      if (seen >= total / 2) break;
    }
    centre_ = bins_[middle].mean;
    for (std::size_t i = middle; i < bins_.size(); ++i) below_[i + 1] = below_[i] + part(i, 1.0);
    for (std::size_t i = middle; i > 0; --i) below_[i - 1] = below_[i] - part(i - 1, 1.0);
  }

  std::span<const statistics::ValueBin> bins() const { return bins_; }
  double centre() const { return centre_; }

  // Sums of bins [0, index), up to a constant.
  const Sums& below(std::size_t index) const { return below_[index]; }

  // Sums of the values up to a threshold, up to the same constant.
  Sums below(double threshold) const {
    const auto bin = std::partition_point(
        bins_.begin(), bins_.end(),
        [&](const statistics::ValueBin& b) { return b.mean + b.spread <= threshold; });
    const auto index = static_cast<std::size_t>(bin - bins_.begin());
    if (bin == bins_.end()) return below_[index];
    return below_[index] + part(index, fraction_below(*bin, threshold));
  }

  // The part of a bin's values, spread evenly, that lies below a threshold.
  static double fraction_below(const statistics::ValueBin& bin, double threshold) {
    if (threshold >= bin.mean + bin.spread) return 1.0;
    if (threshold <= bin.mean - bin.spread) return 0.0;
    return (threshold - (bin.mean - bin.spread)) / (2.0 * bin.spread);
  }

 private:
  // The lowest `fraction` of a bin's values.
  Sums part(std::size_t index, double fraction) const {
    const statistics::ValueBin& bin = bins_[index];
    const double count = static_cast<double>(bin.count) * fraction;
    const double mean = bin.mean - centre_ - bin.spread * (1.0 - fraction);
    return {count, count * mean, count * mean * mean};
  }

  std::vector<statistics::ValueBin> bins_;
  std::vector<Sums> below_;
  double centre_ = 0.0;
};

// The distance from a bin's mean to the nearer one of its edges.
double room(double mean, int mantissa_bits) {
  int exponent = 0;
  std::frexp(mean, &exponent);
  const double width = std::ldexp(1.0, std::max(exponent - 1, -126) - mantissa_bits);
  const double above = std::fmod(std::abs(mean), width);
  return std::min(above, width - above);
}

// A histogram's bins, with those of +0 and -0 as one. A few different values may look equal by
// chance: they are taken for spread, so that finer bins can tell.
std::vector<statistics::ValueBin> distinct_bins(const statistics::ValueHistogram& histogram) {
  constexpr std::uint64_t kFew = 64;
  std::vector<statistics::ValueBin> bins = histogram.bins();
  for (statistics::ValueBin& bin : bins) {
    if (bin.spread == 0.0 && bin.count > 1 && bin.count < kFew) {
      bin.spread = room(bin.mean, histogram.mantissa_bits());
    }
  }
  for (std::size_t i = 1; i < bins.size(); ++i) {
    if (bins[i].mean != bins[i - 1].mean) continue;
    bins[i].count += bins[i - 1].count;
    bins.erase(bins.begin() + static_cast<std::ptrdiff_t>(i) - 1);
    break;
  }
  return bins;
}

// Indices of bins, with their number at the end, between which cells may begin. Neighbouring bins
// are taken together until about `wanted` are left, each with the same share of the cube root of
// the values' density, which is how the optimal levels are distributed (Panter & Dite 1951).
std::vector<std::size_t> candidate_boundaries(std::span<const statistics::ValueBin> bins,
                                              std::size_t wanted) {
  std::vector<double> weights(bins.size(), 1.0);
  if (bins.size() > wanted) {
    double heaviest = 0.0;
    for (std::size_t i = 0; i < bins.size(); ++i) {
      const double left = bins[i > 0 ? i - 1 : 0].mean;
      const double right = bins[std::min(i + 1, bins.size() - 1)].mean;
      const double width = (right - left) / 2.0;
      weights[i] = std::cbrt(static_cast<double>(bins[i].count) * width * width);
      heaviest = std::max(heaviest, weights[i]);
    }
    // The share for which that many are left: bins that weigh more stay alone.
    double low = 0.0;
    double high = heaviest;
    for (int step = 0; step < 60; ++step) {
      const double share = (low + high) / 2.0;
      double groups = 0.0;
      for (const double weight : weights) groups += std::min(1.0, weight / share);
      (groups > static_cast<double>(wanted) ? low : high) = share;
    }
    for (double& weight : weights) weight = std::min(1.0, weight / high);
  }
  std::vector<std::size_t> boundaries;
  double filled = 2.0;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    if (filled + weights[i] > 1.0) {
      boundaries.push_back(i);
      filled = 0.0;
    }
    filled += weights[i];
  }
  boundaries.push_back(bins.size());
  return boundaries;
}

// The least error of the values below each boundary with one cell more each round, by divide and
// conquer over the monotone positions of the last cell's beginning: O(cells * n log n).
class CellSearch {
 public:
  CellSearch(const BinSums& sums, std::span<const std::size_t> boundaries, std::size_t cells)
      : cells_(cells) {
    below_.reserve(boundaries.size());
    for (const std::size_t boundary : boundaries) below_.push_back(sums.below(boundary));
  }

  // Positions in `boundaries` where the cells of least error begin, and the end.
  std::vector<std::size_t> solve() {
    const std::size_t last = below_.size() - 1;
    begins_.assign(cells_ * below_.size(), 0);
    errors_.resize(below_.size());
    for (std::size_t end = 1; end <= last; ++end) errors_[end] = (below_[end] - below_[0]).error();
    for (cell_ = 1; cell_ < cells_; ++cell_) {
      previous_.swap(errors_);
      errors_.resize(below_.size());
      // Cell c needs c bins before it; the last one ends where the values do.
      const std::size_t first_end = cell_ + 1 == cells_ ? last : cell_ + 1;
      fill(first_end, last, cell_, last - 1);
    }
    std::vector<std::size_t> result(cells_ + 1, last);
    for (std::size_t cell = cells_; cell-- > 0;) {
      result[cell] = begins_[cell * below_.size() + result[cell + 1]];
    }
    return result;
  }

 private:
  void fill(std::size_t first_end, std::size_t last_end, std::size_t low, std::size_t high) {
    if (first_end > last_end) return;
    const std::size_t end = first_end + (last_end - first_end) / 2;
    const std::size_t last_begin = std::min(high, end - 1);
    // With a cell less, the last one began no later.
    const std::size_t earlier = begins_[(cell_ - 1) * below_.size() + end];
    double least = std::numeric_limits<double>::infinity();
    std::size_t best = low;
    for (std::size_t begin = std::clamp(earlier, low, last_begin); begin <= last_begin; ++begin) {
      const double error = previous_[begin] + (below_[end] - below_[begin]).error();
      if (error < least) {
        least = error;
        best = begin;
      }
    }
    errors_[end] = least;
    begins_[cell_ * below_.size() + end] = static_cast<std::uint32_t>(best);
    if (end > first_end) fill(first_end, end - 1, low, best);
    fill(end + 1, last_end, best, high);
  }

  std::vector<Sums> below_;
  std::size_t cells_;
  std::size_t cell_ = 0;
  std::vector<double> errors_;
  std::vector<double> previous_;
  std::vector<std::uint32_t> begins_;  // [cells, boundaries]
};

// Lloyd's steps: each level to the mean of the values nearest to it.
void polish(const BinSums& sums, std::vector<double>& levels) {
  constexpr int kSteps = 100;
  constexpr double kStill = 1e-7;  // of the distance between levels
  const std::size_t last = sums.bins().size();
  for (int step = 0; step < kSteps; ++step) {
    bool moved = false;
    Sums begin = sums.below(std::size_t{0});
    std::vector<double> next = levels;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const bool is_last = i + 1 == levels.size();
      const Sums end = is_last ? sums.below(last) : sums.below((levels[i] + levels[i + 1]) / 2.0);
      const Sums cell = end - begin;
      begin = end;
      if (cell.count < 0.5) continue;
      next[i] = sums.centre() + cell.sum / cell.count;
      const double gap = is_last ? levels[i] - levels[i - (i > 0)] : levels[i + 1] - levels[i];
      moved = moved || std::abs(next[i] - levels[i]) > kStill * gap;
    }
    levels.swap(next);
    if (!moved) return;
  }
}

// The error against the nearest of ascending distinct levels, summed bin by bin.
LevelFit measure(std::span<const statistics::ValueBin> bins, std::span<const float> levels) {
  LevelFit fit;
  std::size_t level = 0;
  for (const statistics::ValueBin& bin : bins) {
    const auto count = static_cast<double>(bin.count);
    fit.spread_error += count * bin.spread * bin.spread / 3.0;
    // A bin may reach across thresholds: its values are spread evenly.
    double done = 0.0;
    while (done < 1.0) {
      double upto = 1.0;
      if (level + 1 < levels.size()) {
        const double threshold = (double{levels[level]} + double{levels[level + 1]}) / 2.0;
        upto = BinSums::fraction_below(bin, threshold);
      }
      if (upto > done) {
        const double spread = bin.spread * (upto - done);
        const double mean = bin.mean + bin.spread * (upto + done - 1.0);
        const double distance = mean - double{levels[level]};
        fit.squared_error += count * (upto - done) * (distance * distance + spread * spread / 3.0);
        done = upto;
      }
      if (done < 1.0) ++level;
    }
  }
  return fit;
}

}  // namespace

LevelFit optimal_levels(const statistics::ValueHistogram& histogram, std::size_t count,
                        float* levels) {
  const BinSums sums(distinct_bins(histogram));
  if (sums.bins().size() <= count) {
    for (const statistics::ValueBin& bin : sums.bins()) *levels++ = static_cast<float>(bin.mean);
    float* const first = levels - sums.bins().size();
    std::fill(levels, first + count, levels[-1]);
    return measure(sums.bins(), {first, sums.bins().size()});
  }
  // Enough of them for each level's cell to be told from its neighbours'.
  const std::vector<std::size_t> boundaries =
      candidate_boundaries(sums.bins(), std::max<std::size_t>(2048, 24 * count));
  const std::size_t cells = std::min(count, boundaries.size() - 1);
  const std::vector<std::size_t> begins = CellSearch(sums, boundaries, cells).solve();
  std::vector<double> found;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const Sums inside =
        sums.below(boundaries[begins[cell + 1]]) - sums.below(boundaries[begins[cell]]);
    found.push_back(sums.centre() + inside.sum / inside.count);
  }
  polish(sums, found);
  for (std::size_t i = 0; i < cells; ++i) levels[i] = static_cast<float>(found[i]);
  float* const end = std::unique(levels, levels + cells);
  std::fill(end, levels + count, end[-1]);
  return measure(sums.bins(), {levels, static_cast<std::size_t>(end - levels)});
}

}  // namespace emcomp::kmeans
