// A histogram of float32 values that needs no range: bins are the leading bits of the numbers, so
// their width is a fixed fraction of their magnitude at any scale. A bin keeps how many values it
// holds and the exact sum of their remaining mantissa bits, hence their exact mean. All state is
// integers: merging gives the same result in any order and for any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::statistics {

struct ValueBin {
  double mean;
  std::uint64_t count;
  // The bin's values fill at most [mean - spread, mean + spread]; zero where they may all be equal,
  // as those of a table that is already quantized are.
  double spread;
};

class ValueHistogram {
 public:
  // Bins are 2^-mantissa_bits of their magnitude wide; 10 makes every float16 value a bin.
  explicit ValueHistogram(int mantissa_bits = 10);

  void add(const float* values, std::int64_t count);
  void merge(const ValueHistogram& other);

  // All that is known, as numbers to be kept or sent: bits of mantissa, count, bits of the maximum,
  // then each page in use: its index, and the counts and the sums of its bins.
  std::vector<std::uint64_t> state() const;
  // The histogram of a state. Throws InputError if it is none.
  static ValueHistogram from_state(std::span<const std::uint64_t> state);

  int mantissa_bits() const { return mantissa_bits_; }
  std::uint64_t count() const { return count_; }
  std::uint64_t nonfinite() const;
  // Largest magnitude, exactly.
  float maximum() const;
  // Bins that hold finite values, in ascending order of their means.
  std::vector<ValueBin> bins() const;
  // The same of the values' magnitudes.
  std::vector<ValueBin> magnitude_bins() const;

 private:
  // A bin in one word while it is being filled: count above, sum of low mantissa bits below.
  static constexpr int kSumBits = 40;
  static constexpr std::uint64_t kPackedLimit = (1u << 24) - 1;
  static constexpr int kMostPageBits = 12;

  struct WideBin {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
  };

  // Bins are kept in pages, which are there once they hold a value: an octave (the numbers of one
  // sign and exponent) is one page, or several where it has many bins.
  int octave_pages() const { return 1 << (mantissa_bits_ - page_bits_); }
  std::int64_t page_bins() const { return std::int64_t{1} << page_bits_; }
  bool has(int page) const { return packed_[index(page)] || wide_[index(page)]; }
  static std::size_t index(int page) { return static_cast<std::size_t>(page); }
  WideBin wide_bin(int page, std::int64_t bin) const;
  ValueBin value_bin(int page, std::int64_t bin, const WideBin& wide) const;
  void widen();

  int mantissa_bits_;
  int page_bits_;
  std::uint64_t count_ = 0;
  std::uint64_t packed_count_ = 0;
  std::uint32_t maximum_bits_ = 0;
  std::vector<std::unique_ptr<std::uint64_t[]>> packed_;
  std::vector<std::unique_ptr<WideBin[]>> wide_;
};

// Adds all entries of a matrix.
void add_matrix(ValueHistogram& histogram, const base::MatrixView& matrix, int threads);

// A histogram for each column, or each group of `group` neighbouring columns (the last may be
// smaller). Its bins are wider by default, to bound the memory of tables with many columns.
class ColumnHistograms {
 public:
  explicit ColumnHistograms(std::int64_t dim, std::int64_t group = 1, int mantissa_bits = 8);

  void add(const base::MatrixView& matrix, int threads);
  void merge(const ColumnHistograms& other);

  // The histogram of each group, to be kept or sent, and the histograms again.
  std::vector<std::vector<std::uint64_t>> states() const;
  void set_states(std::span<const std::vector<std::uint64_t>> states);

  std::int64_t dim() const { return dim_; }
  std::int64_t group() const { return group_; }
  const std::vector<ValueHistogram>& groups() const { return groups_; }
  std::uint64_t nonfinite() const;

 private:
  std::int64_t dim_;
  std::int64_t group_;
  std::vector<ValueHistogram> groups_;
};

}  // namespace emcomp::statistics
