#include "emcomp/clipping.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "emcomp/parallel.hpp"
#include "emcomp/simd.hpp"

namespace emcomp {

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
  explicit MagnitudeSums(const ValueHistogram& histogram) {
    const std::vector<ValueBin> bins = histogram.magnitude_bins();
    key_shift_ = 23 - histogram.mantissa_bits();
    // Magnitudes 2^-40 of the largest and less are as good as zero.
    const float smallest = histogram.maximum() * 0x1p-40f;
    first_key_ = key(smallest);
    const std::size_t size = static_cast<std::size_t>(key(histogram.maximum()) - first_key_) + 2;
    mean_.assign(size, 0.0);
    below_.assign(size + 1, {});
    for (const ValueBin& bin : bins) {
      const std::size_t slot = slot_of(static_cast<float>(bin.mean));
      const auto count = static_cast<double>(bin.count);
      const double mean = bin.mean < smallest ? 0.0 : bin.mean;
      mean_[slot] = mean;
      below_[slot + 1].count += count;
      below_[slot + 1].sum += count * mean;
      below_[slot + 1].squares += count * mean * mean;
    }
    for (std::size_t slot = 0; slot < size; ++slot) {
      below_[slot + 1].count += below_[slot].count;
      below_[slot + 1].sum += below_[slot].sum;
      below_[slot + 1].squares += below_[slot].squares;
    }
  }

  double mean() const { return below_.back().sum / below_.back().count; }

  // The magnitude that a share `quantile` of all magnitudes does not exceed.
  double quantile(double quantile) const {
    const double rank = std::max(std::ceil(quantile * below_.back().count), 1.0);
    const auto found =
        std::lower_bound(below_.begin() + 1, below_.end(), rank,
                         [](const Sums& sums, double wanted) { return sums.count < wanted; });
    return mean_[static_cast<std::size_t>(found - below_.begin()) - 1];
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
  };

  std::int64_t key(float magnitude) const {
    return std::bit_cast<std::uint32_t>(magnitude) >> key_shift_;
  }

  std::size_t slot_of(float magnitude) const {
    const std::int64_t slot = key(magnitude) - first_key_;
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(slot, 0, static_cast<std::int64_t>(mean_.size()) - 1));
  }

  // Sums over magnitudes below a bound; the bin it falls into goes to the side of its mean.
  Sums sums_below(double bound) const {
    const std::size_t slot = slot_of(static_cast<float>(bound));
    return below_[mean_[slot] < bound ? slot + 1 : slot];
  }

  int key_shift_;
  std::int64_t first_key_;
  std::vector<double> mean_;
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

struct Search {
  double ratio;  // between neighbouring ranges of the scan
  int starts;    // local minima of the scan that are polished
  int polishes;  // at most
};

// The step of least error with a range in [lowest, highest]. The best range is at least the mean
// magnitude: at a minimum it is (2^b - 1) / 2 times sum(level * x) / sum(level^2), no less than the
// mean of x weighted by its level, and levels grow with x. The error can have several minima, so
// the scan covers all ranges; alternating between assignment and step then ends in a minimum.
template <class Magnitudes>
double best_step(const Magnitudes& magnitudes, double lowest, double highest, int bits,
                 Search search) {
  const int half_levels = 1 << (bits - 1);
  const double steps_to_range = ((1 << bits) - 1) / 2.0;
  if (bits == 1 || !(lowest < highest)) return lowest / steps_to_range;
  const int points = 2 + static_cast<int>(std::log(highest / lowest) / std::log(search.ratio));
  std::vector<double> errors(static_cast<std::size_t>(points));
  std::vector<double> steps(errors.size());
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points - 1);
    steps[i] = highest * std::pow(lowest / highest, share) / steps_to_range;
    errors[i] = magnitudes.trial(steps[i], half_levels).error;
  }
  std::vector<std::size_t> minima;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if ((i == 0 || errors[i] <= errors[i - 1]) &&
        (i + 1 == errors.size() || errors[i] < errors[i + 1])) {
      minima.push_back(i);
    }
  }
  const std::size_t starts = std::min(minima.size(), static_cast<std::size_t>(search.starts));
  std::partial_sort(minima.begin(), minima.begin() + static_cast<std::ptrdiff_t>(starts),
                    minima.end(),
                    [&](std::size_t a, std::size_t b) { return errors[a] < errors[b]; });
  double best = steps[minima[0]];
  double least = errors[minima[0]];
  for (std::size_t start = 0; start < starts; ++start) {
    double step = steps[minima[start]];
    for (int round = 0; round < search.polishes; ++round) {
      const Trial trial = magnitudes.trial(step, half_levels);
      if (trial.error < least) {
        least = trial.error;
        best = step;
      }
      const double next = std::min(trial.better_step, highest / steps_to_range);
      if (std::fabs(next - step) <= 1e-9 * step) break;
      step = next;
    }
  }
  return best;
}

}  // namespace

double choose_step(const ValueHistogram& histogram, int bits, Clipping clipping) {
  const double steps_to_range = ((1 << bits) - 1) / 2.0;
  if (clipping.rule == ClipRule::kValue) return clipping.value / steps_to_range;
  const double maximum = histogram.maximum();
  if (maximum == 0.0) return 0.0;
  if (clipping.rule == ClipRule::kMaximum) return maximum / steps_to_range;
  const MagnitudeSums magnitudes(histogram);
  if (clipping.rule == ClipRule::kQuantile) {
    return magnitudes.quantile(clipping.value) / steps_to_range;
  }
  return best_step(magnitudes, magnitudes.mean(), maximum, bits,
                   {.ratio = 1.003, .starts = 8, .polishes = 60});
}

void choose_column_steps(const ColumnHistograms& histograms, int bits, Clipping clipping,
                         float* steps, int threads) {
  const std::vector<ValueHistogram>& columns = histograms.columns();
  parallel_blocks(static_cast<std::int64_t>(columns.size()), 1, threads,
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
  return maximum * best_step(magnitudes, magnitudes.mean(), 1.0, bits,
                             {.ratio = 1.08, .starts = 3, .polishes = 8});
}

}  // namespace emcomp
