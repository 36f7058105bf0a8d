// A histogram of float32 values that needs no range: bins are the leading bits of the numbers, so
// their width is a fixed fraction of their magnitude at any scale. A bin keeps how many values it
// holds and the exact sum of their remaining mantissa bits, hence their exact mean. All state is
// integers: merging gives the same result in any order and for any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "emcomp/matrix_view.hpp"

namespace emcomp {

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
  explicit ValueHistogram(int mantissa_bits = 10) : mantissa_bits_(mantissa_bits) {}

  void add(const float* values, std::int64_t count);
  void merge(const ValueHistogram& other);

  // All that is known, as numbers to be kept or sent: bits of mantissa, count, bits of the maximum,
  // then each octave in use: its index, and the counts and the sums of its bins.
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
  static constexpr int kOctaves = 512;  // sign and exponent
  struct WideBin {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
  };

  std::int64_t octave_bins() const { return std::int64_t{1} << mantissa_bits_; }
  WideBin wide_bin(int octave, std::int64_t bin) const;
  ValueBin value_bin(int octave, std::int64_t bin, const WideBin& wide) const;
  void widen();

  int mantissa_bits_;
  std::uint64_t count_ = 0;
  std::uint64_t packed_count_ = 0;
  std::uint32_t maximum_bits_ = 0;
  std::array<std::unique_ptr<std::uint64_t[]>, kOctaves> packed_;
  std::array<std::unique_ptr<WideBin[]>, kOctaves> wide_;
};

// Adds all entries of a matrix.
void add_matrix(ValueHistogram& histogram, const MatrixView& matrix, int threads);

// A histogram for each column, or each group of `group` neighbouring columns (the last may be
// smaller). Its bins are wider by default, to bound the memory of tables with many columns.
class ColumnHistograms {
 public:
  explicit ColumnHistograms(std::int64_t dim, std::int64_t group = 1, int mantissa_bits = 8);

  void add(const MatrixView& matrix, int threads);
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

}  // namespace emcomp
