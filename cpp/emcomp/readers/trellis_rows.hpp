// The bytes of rows of trellis codes, all of one length or each of that of its class.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/codes/row_places.hpp"
#include "emcomp/codes/trellis_code.hpp"
#include "emcomp/packing/packed_rows.hpp"

namespace emcomp::readers {

// How far past a row's end a vector of its bytes may go.
inline constexpr std::int64_t kTrellisReadBytes = 64;

struct TrellisBytes {
  const std::uint8_t* bytes;
  std::size_t row_class;
};

class EvenRows {
 public:
  EvenRows(std::span<const std::uint8_t> packed, std::int64_t rows, std::int64_t row_bytes)
      : packed_(packed.data(), rows, row_bytes, kTrellisReadBytes) {}

  TrellisBytes operator[](std::int64_t row) const { return {packed_.row(row), 0}; }
  void prefetch(std::int64_t row) const { packed_.prefetch(row); }

 private:
  packing::PackedRows packed_;
};

class PlacedRows {
 public:
  PlacedRows(std::span<const std::uint8_t> packed, const std::uint8_t* places,
             std::vector<std::int64_t> lengths)
      : packed_(packed), places_(places, lengths), lengths_(std::move(lengths)) {
    // Rows for which reading might leave the buffer are kept in a padded copy.
    const auto longest =
        static_cast<std::size_t>(*std::max_element(lengths_.begin(), lengths_.end()));
    const std::size_t kept = std::min(packed.size(), longest + kTrellisReadBytes);
    first_kept_ = packed.size() - kept;
    tail_.resize(kept + kTrellisReadBytes + 1);
    std::copy_n(packed.begin() + static_cast<std::ptrdiff_t>(first_kept_), kept, tail_.begin());
  }

  // Throws CorruptFileError for rows that are not where the file says.
  TrellisBytes operator[](std::int64_t row) const {
    const auto [first, row_class] = places_[row];
    const auto chosen = static_cast<std::size_t>(row_class);
    if (chosen >= lengths_.size() || first > packed_.size() ||
        packed_.size() - first < static_cast<std::uint64_t>(lengths_[chosen])) [[unlikely]] {
      throw CorruptFileError("the codes of row " + std::to_string(row) +
                             " are not where tensor 'places' says");
    }
    if (first < first_kept_) return {packed_.data() + first, chosen};
    return {tail_.data() + (first - first_kept_), chosen};
  }

  void prefetch_place(std::int64_t row) const { places_.prefetch(row); }
  void prefetch(std::int64_t row) const {
    const codes::RowPlace place = places_[row];
    const std::uint64_t first = std::min<std::uint64_t>(place.first, first_kept_);
    const auto length = static_cast<std::uint64_t>(
        lengths_[std::min(static_cast<std::size_t>(place.row_class), lengths_.size() - 1)]);
    for (std::uint64_t byte = first; byte < first + length + 63; byte += 64) {
      simd::prefetch(packed_.data() + byte);
    }
  }

 private:
  std::span<const std::uint8_t> packed_;
  codes::RowPlaces places_;
  std::vector<std::int64_t> lengths_;
  std::uint64_t first_kept_ = 0;
  std::vector<std::uint8_t> tail_;
};

}  // namespace emcomp::readers
