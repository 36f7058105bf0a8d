// Whether bytes are UTF-8.
#pragma once

#include <cstdint>
#include <string_view>

namespace emcomp::words {

// As Python decodes it: no longer forms than needed, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[at]);
    if (first < 0x80) {
      ++at;
      continue;
    }
    const std::size_t more = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (more == 0 || first > 0xf4 || text.size() - at <= more) return false;
    std::uint32_t value = first & (0x3fu >> more);
    for (std::size_t i = 1; i <= more; ++i) {
      const auto byte = static_cast<std::uint8_t>(text[at + i]);
      if ((byte & 0xc0u) != 0x80) return false;
      value = (value << 6) | (byte & 0x3fu);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (value < kLeast[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
      return false;
    }
    at += more + 1;
  }
  return true;
}

}  // namespace emcomp::words
