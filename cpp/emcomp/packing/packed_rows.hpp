// Packed code rows in memory the reader does not own, safe to read a whole vector at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "emcomp/simd/lanes.hpp"

namespace emcomp::packing {

class PackedRows {
 public:
  // `read_bytes`: how far past a row's end reading a vector of it may go.
  PackedRows(const std::uint8_t* codes, std::int64_t rows, std::int64_t row_bytes,
             std::int64_t read_bytes = simd::kReadBytes)
      : codes_(codes), row_bytes_(row_bytes) {
    // Reading a chunk may run past a row's end. The rows for which that would leave the buffer are
    // kept in a padded copy.
    const std::int64_t kept = std::min(rows, read_bytes / row_bytes + 1);
    first_kept_ = rows - kept;
    tail_.resize(static_cast<std::size_t>(kept * row_bytes + read_bytes));
    std::copy_n(codes + first_kept_ * row_bytes, kept * row_bytes, tail_.data());
  }

  const std::uint8_t* row(std::int64_t index) const {
    return index < first_kept_ ? codes_ + index * row_bytes_
                               : tail_.data() + (index - first_kept_) * row_bytes_;
  }

  void prefetch(std::int64_t index) const {
    const std::uint8_t* begin = codes_ + index * row_bytes_;
    for (std::int64_t offset = 0; offset < row_bytes_ + 63; offset += 64) {
      simd::prefetch(begin + std::min(offset, row_bytes_ - 1));
    }
  }

 private:
  const std::uint8_t* codes_;
  std::int64_t row_bytes_;
  std::int64_t first_kept_;
  std::vector<std::uint8_t> tail_;
};

}  // namespace emcomp::packing
