// Many words as two arrays, which may be mapped from a file: word i is bytes
// [offsets[i], offsets[i + 1]), UTF-8 if the file it is from was.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace emcomp::words {

// Words in memory that the list does not own. The arrays are not trusted: each access checks its
// bounds and throws CorruptFileError.
struct WordList {
  std::span<const std::uint8_t> bytes;
  std::span<const std::uint64_t> offsets;  // one for each word, and the end of the last

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
  std::string_view operator[](std::int64_t index) const {
    if (index < 0 || index >= size()) throw_no_word(index);
    const std::uint64_t begin = offsets[static_cast<std::size_t>(index)];
    const std::uint64_t end = offsets[static_cast<std::size_t>(index) + 1];
    if (begin > end || end > bytes.size()) throw_outside(index);
    return {reinterpret_cast<const char*>(bytes.data()) + begin, end - begin};
  }

  // Whether the offsets go from 0 to the number of bytes and never fall.
  bool is_sound() const;

  [[noreturn]] void throw_no_word(std::int64_t index) const;
  [[noreturn]] void throw_outside(std::int64_t index) const;
};

// Words that are being collected.
struct WordBuffer {
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint64_t> offsets{0};

  void add(std::string_view word) {
    bytes.insert(bytes.end(), word.begin(), word.end());
    offsets.push_back(bytes.size());
  }
  WordList list() const { return {bytes, offsets}; }
};

}  // namespace emcomp::words
