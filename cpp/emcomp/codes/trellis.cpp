#include "emcomp/codes/trellis.hpp"

#include <cmath>
#include <cstring>
#include <vector>

#include "emcomp/base/ordered.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/codes/trellis_search.hpp"

namespace emcomp::codes {

namespace {

// One row after another, for one thread.
class RowCoder {
 public:
  RowCoder(const TrellisCode& code, const std::vector<TrellisSteps>& steps)
      : code_(code),
        steps_(steps),
        search_(code),
        row_(static_cast<std::size_t>(code.dim())),
        entries_(row_.size() + 1),
        windows_(row_.size() + 1) {}

  // Finds the windows of a row of a class. Returns the code of its gain, that of its root mean
  // square, or 0 where there is nothing to code.
  std::uint8_t find(const float* row, std::size_t row_class) {
    layout_ = &code_.layouts[row_class];
    if (layout_->row_bytes() == 0) return 0;
    double sum = 0.0;
    for (std::size_t c = 0; c < row_.size(); ++c) {
      row_[c] = code_.offset.empty() ? row[c] : row[c] - code_.offset[c];
      sum += double{row_[c]} * double{row_[c]};
    }
    if (sum == 0.0) return 0;
    const double length = std::sqrt(sum / static_cast<double>(row_.size()));
    const std::uint8_t gain = std::max<std::uint8_t>(code_.gain_code(length), 1);
    const float inverse = 1.0f / code_.gains[gain];
    for (std::size_t c = 0; c < row_.size(); ++c) entries_[c] = row_[c] * inverse;
    search_.search(steps_[row_class], entries_.data(), windows_.data());
    return gain;
  }

  // Encodes a row into bytes that are zero.
  void encode(const float* row, std::size_t row_class, std::uint8_t* packed) {
    if (find(row, row_class) == 0) return;
    packed[0] = best_gain();
    if (packed[0] != 0) pack(packed + kGainBytes);
  }

  // Calls visit(column, table entry, value in the table's units, weight) for each entry.
  template <class Visit>
  void learn(const float* row, std::size_t row_class, Visit visit) {
    const std::uint8_t gain = find(row, row_class);
    if (gain == 0) return;
    for (std::int64_t c = 0; c < code_.dim(); ++c) {
      const auto at = static_cast<std::size_t>(c);
      if (layout_->factors[at] <= 0.0f) continue;
      const double scale = double{layout_->factors[at]} * double{code_.gains[gain]};
      const float* entry = table_of(c) + place_of(c);
      visit(static_cast<std::size_t>(entry - code_.tables.data()), double{row_[at]} / scale,
            scale * scale);
    }
  }

 private:
  const float* table_of(std::int64_t column) const {
    return code_.table(layout_->widths[static_cast<std::size_t>(column)]);
  }
  std::size_t place_of(std::int64_t column) const {
    return windows_[static_cast<std::size_t>(column)] ^ layout_->flip(column, code_.states());
  }

  // The code of the gain of least squared error, given the windows.
  std::uint8_t best_gain() const {
    double product = 0.0;
    double square = 0.0;
    for (std::int64_t c = 0; c < code_.dim(); ++c) {
      const auto at = static_cast<std::size_t>(c);
      if (layout_->factors[at] <= 0.0f) continue;
      const double value = double{table_of(c)[place_of(c)]} * double{layout_->factors[at]};
      product += value * double{row_[at]};
      square += value * value;
    }
    return square > 0.0 ? code_.gain_code(product / square) : std::uint8_t{0};
  }

  void pack(std::uint8_t* bytes) const {
    std::uint32_t pending = 0;
    int pending_bits = 0;
    for (std::size_t c = 0; c < windows_.size(); ++c) {
      const int width = c < row_.size() ? layout_->widths[c] : layout_->spare_bits();
      if (width == 0) continue;
      pending |= (windows_[c] & ((1u << width) - 1u)) << pending_bits;
      for (pending_bits += width; pending_bits >= 8; pending_bits -= 8, pending >>= 8) {
        *bytes++ = static_cast<std::uint8_t>(pending);
      }
    }
  }

  const TrellisCode& code_;
  const std::vector<TrellisSteps>& steps_;
  TrellisSearch search_;
  const TrellisLayout* layout_ = nullptr;  // of the row that is looked at
  std::vector<float> row_;                 // less the offset
  std::vector<float> entries_;
  std::vector<std::uint16_t> windows_;
};

std::vector<TrellisSteps> steps_of_classes(const TrellisCode& code, std::int64_t reach) {
  std::vector<TrellisSteps> steps;
  steps.reserve(code.layouts.size());
  for (const TrellisLayout& layout : code.layouts) steps.emplace_back(code, layout, reach);
  return steps;
}

constexpr std::int64_t kRowsOfTask = 16;  // a few milliseconds

}  // namespace

void encode_trellis(const ClassifiedRows& rows, const TrellisCode& code, std::int64_t reach,
                    std::uint8_t* packed, int threads) {
  const std::vector<TrellisSteps> steps = steps_of_classes(code, reach);
  const base::MatrixView& matrix = rows.rows;
  constexpr std::int64_t kTask = base::kBlockRows / 4;
  std::vector<std::int64_t> starts;  // of tasks
  std::int64_t end = 0;
  std::vector<std::int64_t> lengths;
  lengths.reserve(code.layouts.size());
  for (const TrellisLayout& layout : code.layouts) lengths.push_back(layout.row_bytes());
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    if (r % kTask == 0) starts.push_back(end);
    end += lengths[rows.class_of(r)];
  }
  std::memset(packed, 0, static_cast<std::size_t>(end));
  base::parallel_blocks(
      matrix.rows, kTask, threads, [&](std::int64_t begin, std::int64_t task_end) {
        RowCoder coder(code, steps);
        std::vector<float> scratch(matrix.is_plain() ? 0 : static_cast<std::size_t>(matrix.dim));
        std::uint8_t* to = packed + starts[static_cast<std::size_t>(begin / kTask)];
        for (std::int64_t r = begin; r < task_end; ++r) {
          const std::size_t row_class = rows.class_of(r);
          coder.encode(base::rows_as_float(matrix, r, 1, scratch.data()), row_class, to);
          to += lengths[row_class];
        }
      });
}

void add_trellis_sums(const ClassifiedRows& rows, const TrellisCode& code, std::int64_t reach,
                      std::span<const double> class_weights, const TrellisSums& sums, int threads) {
  const std::vector<TrellisSteps> steps = steps_of_classes(code, reach);
  const base::MatrixView& matrix = rows.rows;
  struct Entry {
    std::size_t place;
    double value;
    double weight;
  };
  struct Scratch {
    RowCoder coder;
    std::vector<float> row;
    std::vector<Entry> entries;
  };
  base::parallel_in_order(
      (matrix.rows + kRowsOfTask - 1) / kRowsOfTask, threads,
      [&] {
        return Scratch{
            RowCoder(code, steps), std::vector<float>(static_cast<std::size_t>(matrix.dim)), {}};
      },
      [&](std::int64_t task, Scratch& scratch) {
        scratch.entries.clear();
        const std::int64_t end = std::min((task + 1) * kRowsOfTask, matrix.rows);
        for (std::int64_t r = task * kRowsOfTask; r < end; ++r) {
          const std::size_t row_class = rows.class_of(r);
          scratch.coder.learn(
              base::rows_as_float(matrix, r, 1, scratch.row.data()), row_class,
              [&](std::size_t place, double value, double weight) {
                scratch.entries.push_back(
                    {.place = place, .value = value, .weight = weight * class_weights[row_class]});
              });
        }
      },
      [&](std::int64_t, Scratch& scratch) {
        for (const Entry& entry : scratch.entries) {
          sums.weights[entry.place] += entry.weight;
          sums.values[entry.place] += entry.weight * entry.value;
        }
      });
}

}  // namespace emcomp::codes
