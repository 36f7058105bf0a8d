// Where rows of different lengths begin: the class of each row, from which its length follows, and
// in between, from time to time, a place. 64 bytes for 112 rows, one line of a cache.
//
// A record is the place of its first row, 8 bytes, then the classes of its rows, 4 bits each, the
// first of two rows in the lower half of a byte.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "emcomp/simd/lanes.hpp"

namespace emcomp::codes {

inline constexpr std::int64_t kRecordRows = 112;
inline constexpr std::int64_t kRecordBytes = 64;
inline constexpr std::int64_t kPlaceBytes = 8;
inline constexpr int kMostClasses = 16;

constexpr std::int64_t place_records(std::int64_t rows) {
  return (rows + kRecordRows - 1) / kRecordRows;
}

// Records of rows of these classes, which begin at `first`; returns where they end.
inline std::uint64_t write_places(std::span<const std::uint8_t> classes,
                                  std::span<const std::int64_t> lengths, std::uint64_t first,
                                  std::uint8_t* records) {
  for (std::size_t row = 0; row < classes.size(); ++row) {
    const std::size_t in_record = row % kRecordRows;
    std::uint8_t* record = records + row / kRecordRows * kRecordBytes;
    if (in_record == 0) {
      std::memset(record, 0, kRecordBytes);
      std::memcpy(record, &first, sizeof first);
    }
    record[kPlaceBytes + in_record / 2] |=
        static_cast<std::uint8_t>(classes[row] << (in_record % 2 * 4));
    first += static_cast<std::uint64_t>(lengths[classes[row]]);
  }
  return first;
}

struct RowPlace {
  std::uint64_t first;
  int row_class;
};

// Reads records that it does not own.
class RowPlaces {
 public:
  RowPlaces(const std::uint8_t* records, std::span<const std::int64_t> lengths)
      : records_(records) {
    for (std::size_t c = 0; c < lengths.size(); ++c) {
      lengths_[c] = static_cast<std::uint64_t>(lengths[c]);
    }
    for (std::size_t pair = 0; pair < pairs_.size(); ++pair) {
      pairs_[pair] = lengths_[pair & 15] + lengths_[pair >> 4];
    }
  }

  RowPlace operator[](std::int64_t row) const {
    const std::uint8_t* record = records_ + row / kRecordRows * kRecordBytes;
    const std::int64_t in_record = row % kRecordRows;
    const std::uint8_t* classes = record + kPlaceBytes;
    RowPlace found;
    std::memcpy(&found.first, record, sizeof found.first);
    for (std::int64_t pair = 0; pair < in_record / 2; ++pair) found.first += pairs_[classes[pair]];
    const int own = classes[in_record / 2];
    if (in_record % 2 != 0) found.first += lengths_[static_cast<std::size_t>(own & 15)];
    found.row_class = in_record % 2 != 0 ? own >> 4 : own & 15;
    return found;
  }

  void prefetch(std::int64_t row) const {
    simd::prefetch(records_ + row / kRecordRows * kRecordBytes);
  }

 private:
  const std::uint8_t* records_;
  std::array<std::uint64_t, kMostClasses> lengths_{};
  std::array<std::uint64_t, 256> pairs_{};
};

}  // namespace emcomp::codes
