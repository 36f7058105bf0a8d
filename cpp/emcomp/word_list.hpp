// Many words held as two arrays: word i is bytes [offsets[i], offsets[i + 1]).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace emcomp {

struct WordList {
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint64_t> offsets{0};

  void add(std::string_view word) {
    bytes.insert(bytes.end(), word.begin(), word.end());
    offsets.push_back(bytes.size());
  }
};

struct WordView {
  std::span<const std::uint8_t> bytes;
  std::span<const std::uint64_t> offsets;

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }

  std::string_view operator[](std::int64_t i) const {
    const auto index = static_cast<std::size_t>(i);
    return {reinterpret_cast<const char*>(bytes.data()) + offsets[index],
            offsets[index + 1] - offsets[index]};
  }
};

}  // namespace emcomp
