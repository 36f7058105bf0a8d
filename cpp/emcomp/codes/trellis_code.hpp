// Trellis codes of rows: what the bits of a row stand for. docs/format.md has the definition.
//
// The codes of a row are a circular string of bits. Each column has a width, the number of bits
// that are its own, and a window: the bits from its own first one on, more of them than its own. A
// table for each width turns a window into a value. Columns without bits of their own read the
// window of the next column, with some of its bits flipped.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace emcomp::codes {

inline constexpr int kWidestTrellis = 8;   // bits of a column
inline constexpr int kLongestWindow = 12;  // bits
inline constexpr int kGainCodes = 256;
inline constexpr std::int64_t kGainBytes = 1;  // before the codes of a row

// 2^(index / 64), the same bits everywhere.
inline float power_of_two_64ths(std::int64_t index) {
  static const std::array<float, 64> kFractions = [] {
    std::array<double, 6> roots;  // 2^(1/2), 2^(1/4), ... 2^(1/64)
    double root = 2.0;
    for (double& r : roots) r = root = std::sqrt(root);
    std::array<float, 64> fractions;
    for (int i = 0; i < 64; ++i) {
      double product = 1.0;
      for (int bit = 0; bit < 6; ++bit) {
        if (i >> (5 - bit) & 1) product *= roots[static_cast<std::size_t>(bit)];
      }
      fractions[static_cast<std::size_t>(i)] = static_cast<float>(product);
    }
    return fractions;
  }();
  return std::ldexp(kFractions[static_cast<std::size_t>(index & 63)], static_cast<int>(index >> 6));
}

// How the bits of rows are shared out among their columns.
struct TrellisLayout {
  std::vector<std::uint8_t> widths;  // of the columns
  std::vector<float> factors;        // of the columns' table values; 0 for columns left out

  std::int64_t dim() const { return static_cast<std::int64_t>(widths.size()); }

  // Bits of the columns.
  std::int64_t own_bits() const {
    std::int64_t sum = 0;
    for (const std::uint8_t width : widths) sum += width;
    return sum;
  }
  // Bits of a row: whole bytes. Those that are no column's own end it.
  std::int64_t code_bits() const { return (own_bits() + 7) / 8 * 8; }
  int spare_bits() const { return static_cast<int>(code_bits() - own_bits()); }
  // Rows without bits have no gain either.
  std::int64_t row_bytes() const { return own_bits() == 0 ? 0 : kGainBytes + code_bits() / 8; }

  // What is flipped in the window of a column without bits.
  std::uint32_t flip(std::int64_t column, std::int64_t states) const {
    if (widths[static_cast<std::size_t>(column)] > 0) return 0;
    return static_cast<std::uint32_t>(1 + column * 613 % std::max<std::int64_t>(states - 1, 1));
  }
};

struct TrellisCode {
  int window = 0;                       // bits, at most as many as a row has that has any
  std::vector<TrellisLayout> layouts;   // of the classes of rows
  std::vector<float> offset;            // of the columns; empty for none
  std::vector<float> tables;            // [kWidestTrellis, 2^window], of widths 1, 2, ...
  std::array<float, kGainCodes> gains;  // of the rows, ascending from 0

  std::int64_t dim() const { return layouts.front().dim(); }
  std::int64_t states() const { return std::int64_t{1} << window; }

  // The table of columns of this width.
  const float* table(int width) const {
    return tables.data() + (std::max(width, 1) - 1) * states();
  }

  // The code of the gain nearest to this one, the smaller one of two equally near.
  std::uint8_t gain_code(double gain) const {
    const auto above = std::lower_bound(gains.begin() + 1, gains.end(), gain,
                                        [](float a, double b) { return double{a} < b; });
    auto code = static_cast<std::size_t>(above - gains.begin());
    if (code == gains.size() || gain - double{gains[code - 1]} <= double{gains[code]} - gain) {
      --code;
    }
    return static_cast<std::uint8_t>(code);
  }
};

}  // namespace emcomp::codes
