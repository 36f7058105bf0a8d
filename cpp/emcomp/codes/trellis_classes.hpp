// Classes of rows that are alike in the strengths of their columns.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::codes {

// What decides the class of a row: the squares of its entries, by groups of columns. Its class is
// the one of least cost, the first of several.
struct TrellisClasses {
  std::vector<std::int64_t> ends;  // of the groups of columns, ascending; the last is all columns
  std::vector<double> prices;      // [classes, groups], of a group's squares
  std::vector<double> costs;       // [classes], whatever the squares

  std::size_t groups() const { return ends.size(); }
  std::size_t count() const { return costs.size(); }
};

// Sums over the rows of each class.
struct ClassSums {
  std::span<double> squares;  // [classes, dim], of the entries
  std::span<double> rows;     // [classes]
  std::span<double> weights;  // [classes], of the rows: their root mean square to a power
};

// The classes of rows less an offset [dim], empty for none.
void choose_classes(const base::MatrixView& rows, std::span<const float> offset,
                    const TrellisClasses& classes, std::uint8_t* chosen, int threads);

// Adds the sums over such rows, whose weight is their root mean square to the power `-power`, and 0
// for rows that are nothing but the offset.
void add_class_sums(const base::MatrixView& rows, std::span<const float> offset,
                    const TrellisClasses& classes, double power, const ClassSums& sums,
                    int threads);

}  // namespace emcomp::codes
