#include "emcomp/codes/clipping.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <compare>
#include <limits>
#include <vector>

#include "emcomp/base/parallel.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::codes {

namespace {

// What quantizing magnitudes with some step gives: the squared error, and the step that is best
// for the same assignment of magnitudes to levels, sum(level * magnitude) / sum(level^2) with
// levels in units of the step.
struct Trial {
  double error = std::numeric_limits<double>::infinity();
  double better_step = 0.0;
};

// Magnitudes from a histogram with running sums, so that a trial costs one look-up a level.
class MagnitudeSums {
 public:
  explicit MagnitudeSums(const statistics::ValueHistogram& histogram) {
    const std::vector<statistics::ValueBin> bins = histogram.magnitude_bins();
    key_shift_ = 23 - histogram.mantissa_bits();
    // Magnitudes 2^-40 of the largest and less are as good as zero.
    const float smallest = histogram.maximum() * 0x1p-40f;
    first_key_ = key(smallest);
    const std::size_t size = static_cast<std::size_t>(key(histogram.maximum()) - first_key_) + 2;
    bins_.assign(size, {});
    below_.assign(size + 1, {});
    for (statistics::ValueBin bin : bins) {
      const std::size_t slot = slot_of(static_cast<float>(bin.mean));
      if (bin.mean < smallest) bin = {.mean = 0.0, .count = bin.count, .spread = 0.0};
      bins_[slot] = bin;
      below_[slot + 1] += Sums::of(static_cast<double>(bin.count), bin.mean, bin.spread);
    }
    for (std::size_t slot = 0; slot < size; ++slot) {
      below_[slot + 1] += below_[slot];
    }
  }

  double mean() const { return below_.back().sum / below_.back().count; }

  // The magnitude that a share `quantile` of all magnitudes does not exceed.
  double quantile(double quantile) const {
    const double rank = std::max(std::ceil(quantile * below_.back().count), 1.0);
    const auto found =
        std::lower_bound(below_.begin() + 1, below_.end(), rank,
                         [](const Sums& sums, double wanted) { return sums.count < wanted; });
    return bins_[static_cast<std::size_t>(found - below_.begin()) - 1].mean;
  }

  Trial trial(double step, int half_levels) const {
    Trial result{.error = 0.0};
    double products = 0.0;
    double squares = 0.0;
    Sums lower{};
    for (int level = 0; level < half_levels; ++level) {
      const Sums upper = level + 1 < half_levels ? sums_below(step * (level + 1)) : below_.back();
      const double multiple = level + 0.5;
      const double count = upper.count - lower.count;
      const double sum = upper.sum - lower.sum;
      const double target = multiple * step;
      result.error +=
          (upper.squares - lower.squares) - 2.0 * target * sum + target * target * count;
      products += multiple * sum;
      squares += multiple * multiple * count;
      lower = upper;
    }
    result.better_step = products / squares;
    return result;
  }

 private:
  struct Sums {
    double count = 0.0;
    double sum = 0.0;
    double squares = 0.0;

    // Of values spread evenly over [mean - spread, mean + spread].
    static Sums of(double count, double mean, double spread) {
      return {count, count * mean, count * (mean * mean + spread * spread / 3.0)};
    }
    Sums& operator+=(const Sums& other) {
      count += other.count;
      sum += other.sum;
      squares += other.squares;
      return *this;
    }
  };

  std::int64_t key(float magnitude) const {
    return std::bit_cast<std::uint32_t>(magnitude) >> key_shift_;
  }

  std::size_t slot_of(float magnitude) const {
    const std::int64_t slot = key(magnitude) - first_key_;
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(slot, 0, static_cast<std::int64_t>(bins_.size()) - 1));
  }

  // Sums over magnitudes below a bound, which may cut through a bin.
  Sums sums_below(double bound) const {
    const std::size_t slot = slot_of(static_cast<float>(bound));
    const statistics::ValueBin& bin = bins_[slot];
    if (bound <= bin.mean - bin.spread) return below_[slot];
    if (bound >= bin.mean + bin.spread) return below_[slot + 1];
    const double lowest = bin.mean - bin.spread;
    const double share = (bound - lowest) / (2.0 * bin.spread);
    Sums sums = below_[slot];
    sums += Sums::of(share * static_cast<double>(bin.count), (lowest + bound) / 2.0,
                     (bound - lowest) / 2.0);
    return sums;
  }

  int key_shift_;
  std::int64_t first_key_;
  std::vector<statistics::ValueBin> bins_;
  std::vector<Sums> below_;
};

// A short vector's magnitudes, scaled to at most 1 so that squares neither overflow nor vanish.
// Sums run in 16 lanes on every instruction set, so that the step does not depend on it.
class ShortMagnitudes {
 public:
  ShortMagnitudes(const float* values, std::int64_t count)
      : scaled_(static_cast<std::size_t>((count + kSumLanes - 1) / kSumLanes * kSumLanes)),
        count_(count) {
    for (std::int64_t i = 0; i < count; ++i) {
      maximum_ = std::max(maximum_, std::fabs(values[i]));
    }
    if (maximum_ == 0.0f) return;
    double sum = 0.0;
    for (std::int64_t i = 0; i < count; ++i) {
      const double scaled = std::fabs(double{values[i]}) / maximum_;
      scaled_[static_cast<std::size_t>(i)] = static_cast<float>(scaled);
      sum += scaled;
    }
    mean_ = sum / static_cast<double>(count);
  }

  float maximum() const { return maximum_; }
  double mean() const { return mean_; }

  double quantile(double quantile) const {
    std::vector<float> sorted(scaled_.begin(), scaled_.begin() + count_);
    const auto rank = std::max<std::int64_t>(
        static_cast<std::int64_t>(std::ceil(quantile * static_cast<double>(count_))), 1);
    std::nth_element(sorted.begin(), sorted.begin() + (rank - 1), sorted.end());
    return sorted[static_cast<std::size_t>(rank - 1)];
  }

  Trial trial(double step, int half_levels) const {
    constexpr int kVectors = kSumLanes / simd::kLanes;
    const auto inverse = static_cast<float>(1.0 / step);
    const simd::Floats top = simd::broadcast(static_cast<float>(half_levels - 1));
    std::array<simd::Floats, kVectors> products{};
    std::array<simd::Floats, kVectors> squares{};
    for (std::size_t i = 0; i < scaled_.size(); i += kSumLanes) {
      for (int v = 0; v < kVectors; ++v) {
        const simd::Floats magnitude = simd::load(scaled_.data() + i + v * simd::kLanes);
        const simd::Floats multiple =
            simd::to_floats(simd::to_ints(simd::minimum(magnitude * inverse, top))) + 0.5f;
        products[v] += multiple * magnitude;
        squares[v] += multiple * multiple;
      }
    }
    // Padding entries sit at the lowest level and add nothing to the products.
    const double padding = static_cast<double>(scaled_.size()) - static_cast<double>(count_);
    const double product = total(products);
    const double square = total(squares) - 0.25 * padding;
    return {.error = step * (step * square - 2.0 * product), .better_step = product / square};
  }

 private:
  static constexpr int kSumLanes = 16;

  template <std::size_t kVectors>
  static double total(const std::array<simd::Floats, kVectors>& lanes) {
    double sum = 0.0;
    for (const simd::Floats& vector : lanes) {
      for (int lane = 0; lane < simd::kLanes; ++lane) sum += vector[lane];
    }
    return sum;
  }

  std::vector<float> scaled_;
  std::int64_t count_;
  float maximum_ = 0.0f;
  double mean_ = 0.0;
};

// Clipping ranges to try, from the largest to the smallest.
struct Scan {
  double highest;
  double lowest;
  double ratio;  // between neighbouring ranges
};

// The step of least error with a range in [lowest, highest]. The best range is at least the mean
// magnitude: at a minimum it is (2^b - 1) / 2 times sum(level * x) / sum(level^2), no less than the
// mean of x weighted by its level, and levels grow with x. The error can have several minima: a
// coarse scan over all ranges finds the valleys, a fine one the best point of the deepest ones,
// and alternating between assignment and step ends in a minimum.
template <class Magnitudes>
class StepSearch {
 public:
  StepSearch(const Magnitudes& magnitudes, int bits)
      : magnitudes_(magnitudes),
        half_levels_(1 << (bits - 1)),
        steps_to_range_(((1 << bits) - 1) / 2.0) {}

  double best(double lowest, double highest, double coarse, double fine, std::size_t valleys) {
    if (half_levels_ == 1 || !(lowest < highest)) return lowest / steps_to_range_;
    highest_step_ = highest / steps_to_range_;
    for (const auto& [error, range] : minima({highest, lowest, coarse}, valleys)) {
      if (error > 2.0 * least_) break;  // the fine scan does not gain that much
      const Scan around{std::min(range * coarse, highest), std::max(range / coarse, lowest), fine};
      for (const Point& start : minima(around, 2)) polish(start.range / steps_to_range_);
    }
    return best_step_;
  }

 private:
  struct Point {
    double error;
    double range;
    auto operator<=>(const Point&) const = default;
  };

  // Ranges of a scan where the error has a local minimum, the deepest first.
  std::vector<Point> minima(Scan scan, std::size_t most) const {
    const int points =
        2 + static_cast<int>(std::log(scan.highest / scan.lowest) / std::log(scan.ratio));
    std::vector<Point> tried;
    for (int i = 0; i < points; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(points - 1);
      const double range = scan.highest * std::pow(scan.lowest / scan.highest, share);
      tried.push_back({magnitudes_.trial(range / steps_to_range_, half_levels_).error, range});
    }
    std::vector<Point> found;
    for (std::size_t i = 0; i < tried.size(); ++i) {
      if ((i == 0 || tried[i].error <= tried[i - 1].error) &&
          (i + 1 == tried.size() || tried[i].error < tried[i + 1].error)) {
        found.push_back(tried[i]);
      }
    }
    const std::size_t kept = std::min(found.size(), most);
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(kept),
                      found.end());
    found.resize(kept);
    return found;
  }

  void polish(double step) {
    for (int round = 0; round < 20; ++round) {
      const Trial trial = magnitudes_.trial(step, half_levels_);
      if (!(trial.error < least_)) return;
      least_ = trial.error;
      best_step_ = step;
      step = std::min(trial.better_step, highest_step_);
    }
  }

  const Magnitudes& magnitudes_;
  int half_levels_;
  double steps_to_range_;
  double highest_step_ = 0.0;
  double best_step_ = 0.0;
  double least_ = std::numeric_limits<double>::infinity();
};

}  // namespace

double choose_step(const statistics::ValueHistogram& histogram, int bits, Clipping clipping) {
  const double steps_to_range = ((1 << bits) - 1) / 2.0;
  if (clipping.rule == ClipRule::kValue) return clipping.value / steps_to_range;
  const double maximum = histogram.maximum();
  if (maximum == 0.0) return 0.0;
  if (clipping.rule == ClipRule::kMaximum) return maximum / steps_to_range;
  const MagnitudeSums magnitudes(histogram);
  if (clipping.rule == ClipRule::kQuantile) {
    return magnitudes.quantile(clipping.value) / steps_to_range;
  }
  const double fine = 1.0 + 0.2 / (1 << bits);
  return StepSearch(magnitudes, bits).best(magnitudes.mean(), maximum, 1.05, fine, 4);
}

void choose_column_steps(const statistics::ColumnHistograms& histograms, int bits,
                         Clipping clipping, float* steps, int threads) {
  const std::vector<statistics::ValueHistogram>& columns = histograms.groups();
  base::parallel_blocks(static_cast<std::int64_t>(columns.size()), 1, threads,
                        [&](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t c = begin; c < end; ++c) {
                            steps[c] = static_cast<float>(
                                choose_step(columns[static_cast<std::size_t>(c)], bits, clipping));
                          }
                        });
}

double choose_step(const float* values, std::int64_t count, int bits, Clipping clipping) {
  const double steps_to_range = ((1 << bits) - 1) / 2.0;
  if (clipping.rule == ClipRule::kValue) return clipping.value / steps_to_range;
  const ShortMagnitudes magnitudes(values, count);
  const double maximum = magnitudes.maximum();
  if (maximum == 0.0 || clipping.rule == ClipRule::kMaximum) return maximum / steps_to_range;
  if (clipping.rule == ClipRule::kQuantile) {
    return maximum * magnitudes.quantile(clipping.value) / steps_to_range;
  }
  const double fine = 1.0 + 0.4 / (1 << bits);
  return maximum * StepSearch(magnitudes, bits).best(magnitudes.mean(), 1.0, 1.15, fine, 2);
}

std::int64_t count_clipped(const base::MatrixView& matrix, std::int64_t group, const float* low,
                           const float* high, int threads) {
  std::vector<float> lows(static_cast<std::size_t>(matrix.dim));
  std::vector<float> highs(static_cast<std::size_t>(matrix.dim));
  for (std::int64_t c = 0; c < matrix.dim; ++c) {
    lows[static_cast<std::size_t>(c)] = low[c / group];
    highs[static_cast<std::size_t>(c)] = high[c / group];
  }
  std::atomic<std::int64_t> total = 0;
  base::parallel_blocks(
      matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> scratch(
            matrix.is_plain() ? 0 : static_cast<std::size_t>((end - begin) * matrix.dim));
        const float* rows = base::rows_as_float(matrix, begin, end - begin, scratch.data());
        std::int64_t clipped = 0;
        for (std::int64_t r = 0; r < end - begin; ++r, rows += matrix.dim) {
          std::int32_t in_row = 0;
          for (std::size_t c = 0; c < lows.size(); ++c) {
            in_row += static_cast<std::int32_t>((rows[c] < lows[c]) | (rows[c] > highs[c]));
          }
          clipped += in_row;
        }
        total += clipped;
      });
  return total;
}

}  // namespace emcomp::codes
