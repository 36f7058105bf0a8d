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
  RowCoder(const TrellisCode& code, const TrellisSteps& steps)
      : code_(code),
        search_(steps),
        row_(static_cast<std::size_t>(code.dim())),
        entries_(row_.size() + 1),
        windows_(row_.size() + 1) {}

  // Finds the windows of a row. Returns the code of its gain, that of its root mean square.
  std::uint8_t find(const float* row) {
    double sum = 0.0;
    for (std::size_t c = 0; c < row_.size(); ++c) {
      row_[c] = code_.offset.empty() ? row[c] : row[c] - code_.offset[c];
      sum += double{row_[c]} * double{row_[c]};
    }
    std::uint8_t gain = code_.gain_code(std::sqrt(sum / static_cast<double>(row_.size())));
    if (gain == 0 && sum > 0.0) gain = 1;
    if (gain == 0) return 0;
    const float inverse = 1.0f / code_.gains[gain];
    for (std::size_t c = 0; c < row_.size(); ++c) entries_[c] = row_[c] * inverse;
    search_.search(entries_.data(), windows_.data());
    return gain;
  }

  // Encodes a row.
  void encode(const float* row, std::uint8_t* packed) {
    std::memset(packed, 0, static_cast<std::size_t>(code_.row_bytes()));
    if (find(row) == 0) return;
    packed[0] = best_gain();
    if (packed[0] != 0) pack(packed + kGainBytes);
  }

  // Calls visit(column, table entry, value in the table's units, weight) for each entry.
  template <class Visit>
  void learn(const float* row, Visit visit) {
    const std::uint8_t gain = find(row);
    if (gain == 0) return;
    for (std::int64_t c = 0; c < code_.dim(); ++c) {
      const auto at = static_cast<std::size_t>(c);
      if (code_.factors[at] <= 0.0f) continue;
      const double scale = double{code_.factors[at]} * double{code_.gains[gain]};
      visit(c, entry_of(c), double{row_[at]} / scale, scale * scale);
    }
  }

 private:
  std::size_t entry_of(std::int64_t column) const {
    return windows_[static_cast<std::size_t>(column)] ^ code_.flip(column);
  }

  // The code of the gain of least squared error, given the windows.
  std::uint8_t best_gain() const {
    double product = 0.0;
    double square = 0.0;
    for (std::int64_t c = 0; c < code_.dim(); ++c) {
      const auto at = static_cast<std::size_t>(c);
      if (code_.factors[at] <= 0.0f) continue;
      const double value =
          double{code_.table(code_.widths[at])[entry_of(c)]} * double{code_.factors[at]};
      product += value * double{row_[at]};
      square += value * value;
    }
    return square > 0.0 ? code_.gain_code(product / square) : std::uint8_t{0};
  }

  void pack(std::uint8_t* bytes) const {
    std::uint32_t pending = 0;
    int pending_bits = 0;
    for (std::size_t c = 0; c < windows_.size(); ++c) {
      const int width = c < row_.size() ? code_.widths[c] : code_.spare_bits();
      if (width == 0) continue;
      pending |= (windows_[c] & ((1u << width) - 1u)) << pending_bits;
      for (pending_bits += width; pending_bits >= 8; pending_bits -= 8, pending >>= 8) {
        *bytes++ = static_cast<std::uint8_t>(pending);
      }
    }
  }

  const TrellisCode& code_;
  TrellisSearch search_;
  std::vector<float> row_;  // less the offset
  std::vector<float> entries_;
  std::vector<std::uint16_t> windows_;
};

constexpr std::int64_t kRowsOfTask = 16;  // rows of a task: a few milliseconds

}  // namespace

void encode_trellis(const base::MatrixView& matrix, const TrellisCode& code, std::int64_t reach,
                    std::uint8_t* packed, int threads) {
  const TrellisSteps steps(code, reach);
  const std::int64_t row_bytes = code.row_bytes();
  base::parallel_blocks(
      matrix.rows, base::kBlockRows / 4, threads, [&](std::int64_t begin, std::int64_t end) {
        RowCoder coder(code, steps);
        std::vector<float> scratch(matrix.is_plain() ? 0 : static_cast<std::size_t>(matrix.dim));
        for (std::int64_t r = begin; r < end; ++r) {
          coder.encode(base::rows_as_float(matrix, r, 1, scratch.data()), packed + r * row_bytes);
        }
      });
}

void add_trellis_sums(const base::MatrixView& matrix, const TrellisCode& code, std::int64_t reach,
                      const TrellisSums& sums, int threads) {
  const TrellisSteps steps(code, reach);
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
          scratch.coder.learn(
              base::rows_as_float(matrix, r, 1, scratch.row.data()),
              [&](std::int64_t column, std::size_t entry, double value, double weight) {
                const float* table = code.table(code.widths[static_cast<std::size_t>(column)]);
                const auto place = static_cast<std::size_t>(table - code.tables.data()) + entry;
                scratch.entries.push_back({.place = place, .value = value, .weight = weight});
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
