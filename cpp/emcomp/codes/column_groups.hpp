// Which group of neighbouring columns each chunk of kLanes columns belongs to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "emcomp/simd/lanes.hpp"

namespace emcomp::codes {

// Groups as offsets into tables of `stride` floats for each group.
class ColumnGroups {
 public:
  ColumnGroups(std::int64_t dim, std::int64_t group, std::int64_t stride) {
    const std::int64_t chunks = (dim + simd::kLanes - 1) / simd::kLanes;
    common_.reserve(static_cast<std::size_t>(chunks));
    lanes_.reserve(static_cast<std::size_t>(chunks * simd::kLanes));
    for (std::int64_t c = 0; c < chunks * simd::kLanes; ++c) {
      lanes_.push_back(static_cast<std::int32_t>(std::min(c, dim - 1) / group * stride));
      if (c % simd::kLanes == 0) common_.push_back(lanes_.back());
      if (lanes_.back() != common_.back()) common_.back() = -1;
    }
  }

  // The offset that all of a chunk's columns share, or -1.
  std::int32_t common(std::int64_t chunk) const { return common_[static_cast<std::size_t>(chunk)]; }

  // The offset of each of a chunk's columns.
  simd::Ints lanes(std::int64_t chunk) const {
    simd::Ints offsets;
    std::memcpy(&offsets, lanes_.data() + chunk * simd::kLanes, sizeof offsets);
    return offsets;
  }

 private:
  std::vector<std::int32_t> common_;
  std::vector<std::int32_t> lanes_;
};

}  // namespace emcomp::codes
