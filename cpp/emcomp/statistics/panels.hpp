// Sums of products a'b of tall blocks of rows, in float64. Both operands have one packed form, so
// that a table's product with itself and with another one pack it once.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace emcomp::statistics {

#if defined(__AVX512F__)
inline constexpr int kPanelWidth = 8;
inline constexpr int kTilePanels = 3;
#elif defined(__AVX2__) || defined(__aarch64__)
inline constexpr int kPanelWidth = 4;
inline constexpr int kTilePanels = 3;
#else
inline constexpr int kPanelWidth = 4;
inline constexpr int kTilePanels = 1;
#endif

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowsView = Eigen::Map<Rows>;
using ConstRowsView = Eigen::Map<const Rows>;

// Rows cut into panels of kPanelWidth columns, each panel row after row, the last one padded with
// zero columns.
class Panels {
 public:
  Panels(std::int64_t width, std::int64_t most_rows);

  void pack(const RowsView& rows);

  std::int64_t rows() const { return rows_; }
  std::int64_t stride() const { return most_rows_ * kPanelWidth; }  // from panel to panel
  const double* panel(std::int64_t index) const { return values_.data() + index * stride(); }

 private:
  std::int64_t width_;
  std::int64_t most_rows_;
  std::int64_t rows_ = 0;
  Eigen::VectorXd values_;
};

// A sum of products [rows, columns], padded to whole panels.
class ProductSum {
 public:
  ProductSum(std::int64_t rows, std::int64_t columns);

  void clear() { values_.setZero(); }
  // Adds a'b; where upper is set, only entries on and above the diagonal are complete.
  void add(const Panels& a, const Panels& b, bool upper);
  auto values() const { return values_.topLeftCorner(rows_, columns_); }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  Rows values_;
};

}  // namespace emcomp::statistics
