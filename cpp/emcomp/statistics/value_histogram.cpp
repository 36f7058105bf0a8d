#include "emcomp/statistics/value_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <mutex>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"

namespace emcomp::statistics {

namespace {

constexpr int kMantissa = 23;
constexpr int kInfiniteExponent = 255;
constexpr int kNegative = 256;  // first octave of negative values
constexpr int kOctaves = 512;   // sign and exponent

}  // namespace

ValueHistogram::ValueHistogram(int mantissa_bits)
    : mantissa_bits_(mantissa_bits),
      page_bits_(std::min(mantissa_bits, kMostPageBits)),
      packed_(index(kOctaves * octave_pages())),
      wide_(packed_.size()) {}

void ValueHistogram::add(const float* values, std::int64_t count) {
  const int low_bits = kMantissa - mantissa_bits_;
  const std::uint32_t low_mask = (1u << low_bits) - 1u;
  const std::uint32_t bin_mask = (1u << page_bits_) - 1u;
  std::uint32_t maximum = maximum_bits_;
  while (count > 0) {
    if (packed_count_ == kPackedLimit) widen();
    const auto part =
        std::min<std::int64_t>(count, static_cast<std::int64_t>(kPackedLimit - packed_count_));
    for (std::int64_t i = 0; i < part; ++i) {
      const std::uint32_t bits = std::bit_cast<std::uint32_t>(values[i]);
      std::unique_ptr<std::uint64_t[]>& page = packed_[bits >> (low_bits + page_bits_)];
      if (!page) [[unlikely]] {
        page = std::make_unique<std::uint64_t[]>(static_cast<std::size_t>(page_bins()));
      }
      page[(bits >> low_bits) & bin_mask] += (std::uint64_t{1} << kSumBits) + (bits & low_mask);
      maximum = std::max(maximum, bits & 0x7fffffffu);
    }
    packed_count_ += static_cast<std::uint64_t>(part);
    count_ += static_cast<std::uint64_t>(part);
    values += part;
    count -= part;
  }
  maximum_bits_ = maximum;
}

void ValueHistogram::widen() {
  for (std::size_t page = 0; page < packed_.size(); ++page) {
    if (!packed_[page]) continue;
    if (!wide_[page]) {
      wide_[page] = std::make_unique<WideBin[]>(static_cast<std::size_t>(page_bins()));
    }
    for (std::int64_t bin = 0; bin < page_bins(); ++bin) {
      std::uint64_t& packed = packed_[page][bin];
      wide_[page][bin].count += packed >> kSumBits;
      wide_[page][bin].sum += packed & ((std::uint64_t{1} << kSumBits) - 1);
      packed = 0;
    }
  }
  packed_count_ = 0;
}

void ValueHistogram::merge(const ValueHistogram& other) {
  widen();
  for (std::size_t page = 0; page < packed_.size(); ++page) {
    if (!other.has(static_cast<int>(page))) continue;
    if (!wide_[page]) {
      wide_[page] = std::make_unique<WideBin[]>(static_cast<std::size_t>(page_bins()));
    }
    for (std::int64_t bin = 0; bin < page_bins(); ++bin) {
      const WideBin theirs = other.wide_bin(static_cast<int>(page), bin);
      wide_[page][bin].count += theirs.count;
      wide_[page][bin].sum += theirs.sum;
    }
  }
  count_ += other.count_;
  maximum_bits_ = std::max(maximum_bits_, other.maximum_bits_);
}

std::vector<std::uint64_t> ValueHistogram::state() const {
  std::vector<std::uint64_t> state{static_cast<std::uint64_t>(mantissa_bits_), count_,
                                   maximum_bits_};
  const auto bins = static_cast<std::size_t>(page_bins());
  for (int page = 0; page < static_cast<int>(packed_.size()); ++page) {
    if (!has(page)) continue;
    state.push_back(static_cast<std::uint64_t>(page));
    const std::size_t counts = state.size();
    state.resize(counts + 2 * bins);
    for (std::size_t bin = 0; bin < bins; ++bin) {
      const WideBin wide = wide_bin(page, static_cast<std::int64_t>(bin));
      state[counts + bin] = wide.count;
      state[counts + bins + bin] = wide.sum;
    }
  }
  return state;
}

ValueHistogram ValueHistogram::from_state(std::span<const std::uint64_t> state) {
  const auto check = [](bool good) {
    if (!good) throw InputError("this is not the state of a histogram");
  };
  check(state.size() >= 3 && state[0] <= kMantissa);
  ValueHistogram histogram(static_cast<int>(state[0]));
  histogram.count_ = state[1];
  histogram.maximum_bits_ = static_cast<std::uint32_t>(state[2]);
  const auto bins = static_cast<std::size_t>(histogram.page_bins());
  for (state = state.subspan(3); !state.empty(); state = state.subspan(1 + 2 * bins)) {
    check(state.size() >= 1 + 2 * bins && state[0] < histogram.wide_.size());
    std::unique_ptr<WideBin[]>& page = histogram.wide_[state[0]];
    page = std::make_unique<WideBin[]>(bins);
    for (std::size_t bin = 0; bin < bins; ++bin) {
      page[bin] = {.count = state[1 + bin], .sum = state[1 + bins + bin]};
    }
  }
  return histogram;
}

ValueHistogram::WideBin ValueHistogram::wide_bin(int page, std::int64_t bin) const {
  WideBin wide;
  if (wide_[index(page)]) wide = wide_[index(page)][bin];
  if (packed_[index(page)]) {
    wide.count += packed_[index(page)][bin] >> kSumBits;
    wide.sum += packed_[index(page)][bin] & ((std::uint64_t{1} << kSumBits) - 1);
  }
  return wide;
}

ValueBin ValueHistogram::value_bin(int page, std::int64_t bin, const WideBin& wide) const {
  const int octave = page / octave_pages();
  const int exponent = octave % kNegative;
  const int low_bits = kMantissa - mantissa_bits_;
  const double offset = static_cast<double>(wide.sum) / static_cast<double>(wide.count);
  const double mantissa =
      static_cast<double>((page % octave_pages() * page_bins() + bin) << low_bits) + offset;
  const int scale = std::max(exponent, 1) - 127 - kMantissa;
  const double magnitude = std::ldexp(exponent == 0 ? mantissa : mantissa + 0x1p23, scale);
  const double width = static_cast<double>(std::int64_t{1} << low_bits);
  const bool may_be_equal = wide.sum % wide.count == 0;
  return {.mean = octave >= kNegative ? -magnitude : magnitude,
          .count = wide.count,
          .spread = may_be_equal ? 0.0 : std::ldexp(std::min(offset, width - offset), scale)};
}

std::uint64_t ValueHistogram::nonfinite() const {
  std::uint64_t total = 0;
  for (const int octave : {kInfiniteExponent, kNegative + kInfiniteExponent}) {
    for (int page = octave * octave_pages(); page < (octave + 1) * octave_pages(); ++page) {
      if (!has(page)) continue;
      for (std::int64_t bin = 0; bin < page_bins(); ++bin) total += wide_bin(page, bin).count;
    }
  }
  return total;
}

float ValueHistogram::maximum() const { return std::bit_cast<float>(maximum_bits_); }

std::vector<ValueBin> ValueHistogram::bins() const {
  std::vector<ValueBin> result;
  const auto append = [&](int page, std::int64_t bin) {
    const WideBin wide = wide_bin(page, bin);
    if (wide.count > 0) result.push_back(value_bin(page, bin, wide));
  };
  const int finite_pages = kInfiniteExponent * octave_pages();
  const int negative_pages = kNegative * octave_pages();
  for (int page = negative_pages + finite_pages; page-- > negative_pages;) {
    if (!has(page)) continue;
    for (std::int64_t bin = page_bins() - 1; bin >= 0; --bin) append(page, bin);
  }
  for (int page = 0; page < finite_pages; ++page) {
    if (!has(page)) continue;
    for (std::int64_t bin = 0; bin < page_bins(); ++bin) append(page, bin);
  }
  return result;
}

std::vector<ValueBin> ValueHistogram::magnitude_bins() const {
  std::vector<ValueBin> result;
  for (int page = 0; page < kInfiniteExponent * octave_pages(); ++page) {
    const int negative = page + kNegative * octave_pages();
    if (!has(page) && !has(negative)) continue;
    for (std::int64_t bin = 0; bin < page_bins(); ++bin) {
      WideBin both = wide_bin(page, bin);
      const WideBin minus = wide_bin(negative, bin);
      both.count += minus.count;
      both.sum += minus.sum;
      if (both.count > 0) result.push_back(value_bin(page, bin, both));
    }
  }
  return result;
}

void add_matrix(ValueHistogram& histogram, const base::MatrixView& matrix, int threads) {
  const std::int64_t share = (matrix.rows + threads - 1) / threads;
  std::mutex merging;
  base::run_threads(threads, [&](int thread) {
    const std::int64_t end = std::min((thread + 1) * share, matrix.rows);
    std::vector<float> scratch(
        matrix.is_plain() ? 0 : static_cast<std::size_t>(base::kBlockRows * matrix.dim));
    ValueHistogram own(histogram.mantissa_bits());
    for (std::int64_t first = thread * share; first < end; first += base::kBlockRows) {
      const std::int64_t count = std::min(base::kBlockRows, end - first);
      own.add(base::rows_as_float(matrix, first, count, scratch.data()), count * matrix.dim);
    }
    const std::lock_guard<std::mutex> lock(merging);
    histogram.merge(own);
  });
}

ColumnHistograms::ColumnHistograms(std::int64_t dim, std::int64_t group, int mantissa_bits)
    : dim_(dim), group_(group) {
  const std::int64_t groups = (dim + group - 1) / group;
  groups_.reserve(static_cast<std::size_t>(groups));
  for (std::int64_t g = 0; g < groups; ++g) groups_.emplace_back(mantissa_bits);
}

void ColumnHistograms::add(const base::MatrixView& matrix, int threads) {
  // Each thread owns some of the groups and reads only their columns, a few at a time.
  constexpr std::int64_t kColumns = 16;
  constexpr std::int64_t kRows = 4096;
  const std::int64_t share = std::max<std::int64_t>(1, kColumns / group_) * group_;
  base::parallel_blocks(matrix.dim, share, threads, [&](std::int64_t begin, std::int64_t end) {
    // The transposed view makes a column's entries lie side by side in the scratch block.
    std::vector<float> scratch(static_cast<std::size_t>(kColumns * kRows));
    for (std::int64_t first = 0; first < matrix.rows; first += kRows) {
      const std::int64_t count = std::min(kRows, matrix.rows - first);
      base::MatrixView columns = matrix;
      columns.data += first * matrix.row_stride;
      columns.rows = matrix.dim;
      columns.dim = count;
      std::swap(columns.row_stride, columns.column_stride);
      for (std::int64_t strip = begin; strip < end; strip += kColumns) {
        const std::int64_t strip_end = std::min(strip + kColumns, end);
        base::load_rows(columns, strip, strip_end - strip, scratch.data());
        for (std::int64_t c = strip; c < strip_end; ++c) {
          groups_[static_cast<std::size_t>(c / group_)].add(scratch.data() + (c - strip) * count,
                                                            count);
        }
      }
    }
  });
}

std::vector<std::vector<std::uint64_t>> ColumnHistograms::states() const {
  std::vector<std::vector<std::uint64_t>> states;
  states.reserve(groups_.size());
  for (const ValueHistogram& group : groups_) states.push_back(group.state());
  return states;
}

void ColumnHistograms::set_states(std::span<const std::vector<std::uint64_t>> states) {
  if (states.size() != groups_.size()) throw InputError("there is not one state for each group");
  for (std::size_t g = 0; g < states.size(); ++g) {
    groups_[g] = ValueHistogram::from_state(states[g]);
  }
}

void ColumnHistograms::merge(const ColumnHistograms& other) {
  for (std::size_t g = 0; g < groups_.size(); ++g) groups_[g].merge(other.groups_[g]);
}

std::uint64_t ColumnHistograms::nonfinite() const {
  std::uint64_t total = 0;
  for (const ValueHistogram& group : groups_) total += group.nonfinite();
  return total;
}

}  // namespace emcomp::statistics
