#include "emcomp/vectors/binary_vectors.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/vectors/little_endian.hpp"
#include "emcomp/words/utf8.hpp"

namespace emcomp::vectors {

namespace {

constexpr std::int64_t kNone = -1;
constexpr std::int64_t kLongestName = 1000;  // bytes in which later spaces are looked for
constexpr std::int64_t kTriedRows = 64;      // rows that tell whether there are newlines

// What a word may be: text without control characters, with single spaces inside at most.
bool is_sound(std::string_view word) {
  if (word.empty() || word.front() == ' ' || word.back() == ' ') return false;
  if (word.find("  ") != std::string_view::npos) return false;
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 32 || byte == 127;
  };
  return std::ranges::none_of(word, is_control) && words::is_utf8(word);
}

// Whether no number is infinite, NaN, above 2^40 or, unless zero, below 2^-61. Letters taken for
// numbers are nearly always outside: four that end with a space are from 2^-63 to 2^-61.
bool are_plausible(const char* numbers, std::int64_t dim) {
  constexpr std::uint32_t kLeast = (127u - 61) << 23;
  constexpr std::uint32_t kMost = (127u + 40) << 23;
  std::uint32_t odd = 0;
  for (std::int64_t i = 0; i < dim; ++i) {
    const auto bits = load_little_endian<std::uint32_t>(numbers + i * 4) & 0x7fffffffu;
    odd |= static_cast<std::uint32_t>(bits - kLeast > kMost - kLeast) &
           static_cast<std::uint32_t>(bits != 0);
  }
  return odd == 0;
}

class RowFinder {
 public:
  RowFinder(const BinaryPart& part, BinaryLayout layout)
      : part_(part),
        layout_(layout),
        row_bytes_(layout.dim * 4),
        size_(static_cast<std::int64_t>(part.bytes.size())) {}

  BinaryRows find(std::int64_t most) const {
    // What looking at a row and the word after it may need.
    const std::int64_t needed = part_.at_end ? 0 : 2 + row_bytes_ + 2 * kLongestName;
    BinaryRows found;
    std::int64_t at = 0;
    std::int64_t space = next_space(at, size_);
    while (static_cast<std::int64_t>(found.rows.size()) < most && size_ - space >= needed) {
      if (!is_sound_after(space)) {
        space = chosen(at, space, part_.first_row + static_cast<std::int64_t>(found.rows.size()));
      }
      found.rows.push_back({at, space});
      at = end_of_row(space);
      found.end = at;
      space = next_space(at, size_);
    }
    return found;
  }

 private:
  // The space that ends the word of the row at `at`, where what follows the first one is odd.
  std::int64_t chosen(std::int64_t at, std::int64_t space, std::int64_t row) const {
    const auto described = [&] {
      return "vector " + std::to_string(row) + " (counted from 0), which begins at byte " +
             std::to_string(part_.offset + at);
    };
    if (!has_numbers(space)) {
      throw CorruptFileError("the file ends at byte " + std::to_string(part_.offset + size_) +
                             ", inside " + described());
    }
    const std::int64_t limit = std::min(size_, at + kLongestName);
    for (std::int64_t later = space; later < limit; later = next_space(later + 1, limit)) {
      if (is_sound(text(at, later)) && is_sound_after(later)) return later;
    }
    const std::int64_t next = end_of_row(space);
    if (next == kNone) {
      throw FormatError(described() +
                        (layout_.newlines ? ": no newline follows its numbers"
                                          : ": a newline follows its numbers") +
                        ", unlike those before");
    }
    // Where newlines are in their places, odd numbers prove nothing.
    const bool is_wrong =
        layout_.newlines ? first_part(next).find('\n') != std::string_view::npos
                         : !is_word_or_end(next) && !are_plausible(numbers(space), layout_.dim);
    if (is_wrong) {
      throw FormatError(
          described() +
          ": it cannot be told where its word ends and its numbers begin; the file is "
          "damaged, or a name has a space and is not UTF-8");
    }
    return space;  // the numbers or the next word are odd, but not both
  }

  const char* numbers(std::int64_t space) const { return part_.bytes.data() + space + 1; }

  std::string_view text(std::int64_t begin, std::int64_t end) const {
    return {part_.bytes.data() + begin, static_cast<std::size_t>(end - begin)};
  }

  bool has_numbers(std::int64_t space) const { return size_ - space >= 1 + row_bytes_; }

  std::int64_t next_space(std::int64_t from, std::int64_t end) const {
    if (from >= end) return end;
    const char* const begin = part_.bytes.data();
    const void* const found = std::memchr(begin + from, ' ', static_cast<std::size_t>(end - from));
    return found == nullptr ? end : static_cast<const char*>(found) - begin;
  }

  // Where the row ends whose word ends at `space`, or kNone where it cannot end there.
  std::int64_t end_of_row(std::int64_t space) const {
    if (!has_numbers(space)) return kNone;
    const std::int64_t end = space + 1 + row_bytes_;
    if (end == size_) return end;
    const bool newline = part_.bytes[static_cast<std::size_t>(end)] == '\n';
    if (newline != layout_.newlines) return kNone;
    return newline ? end + 1 : end;
  }

  // What lies there up to a space.
  std::string_view first_part(std::int64_t begin) const {
    return text(begin, next_space(begin, std::min(size_, begin + kLongestName)));
  }

  // Whether the first part of a sound word lies there, or nothing does.
  bool is_word_or_end(std::int64_t begin) const {
    if (begin == size_) return true;
    const std::string_view part = first_part(begin);
    return begin + static_cast<std::int64_t>(part.size()) < size_ && is_sound(part);
  }

  // Whether numbers and the next word are sound if a word ends at `space`.
  bool is_sound_after(std::int64_t space) const {
    const std::int64_t next = end_of_row(space);
    return next != kNone && is_word_or_end(next) && are_plausible(numbers(space), layout_.dim);
  }

  const BinaryPart& part_;
  BinaryLayout layout_;
  std::int64_t row_bytes_;
  std::int64_t size_;
};

}  // namespace

BinaryRows find_binary_rows(const BinaryPart& part, BinaryLayout layout, std::int64_t most) {
  return RowFinder(part, layout).find(most);
}

bool has_newlines(const BinaryPart& part, std::int64_t dim, std::int64_t most) {
  const std::int64_t tried = std::min(most, kTriedRows);
  const auto misfit = [&](bool newlines) -> std::optional<FormatError> {
    try {
      find_binary_rows(part, {dim, newlines}, tried);
      return std::nullopt;
    } catch (const CorruptFileError&) {
      throw;
    } catch (const FormatError& error) {
      return error;
    }
  };
  const auto with = misfit(true);
  if (!with) return true;
  const auto without = misfit(false);
  if (!without) return false;
  // Whatever the byte after the first numbers is, the file is more likely to be of that kind.
  const auto space =
      static_cast<std::int64_t>(std::ranges::find(part.bytes, ' ') - part.bytes.begin());
  const std::int64_t end = space + 1 + dim * 4;
  const bool newline = end < static_cast<std::int64_t>(part.bytes.size()) &&
                       part.bytes[static_cast<std::size_t>(end)] == '\n';
  throw newline ? *with : *without;
}

words::WordBuffer read_binary_rows(const BinaryPart& part, const BinaryRows& found, RowBlock out,
                                   int threads) {
  words::WordBuffer words;
  for (const BinaryRow& row : found.rows) {
    words.add({part.bytes.data() + row.begin, static_cast<std::size_t>(row.word_end - row.begin)});
  }
  base::parallel_blocks(
      out.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          load_little_endian(
              part.bytes.data() + found.rows[static_cast<std::size_t>(row)].word_end + 1, out.dim,
              out.values + row * out.dim);
        }
      });
  return words;
}

std::string format_binary(const base::MatrixView& matrix, const words::WordList& words,
                          int threads) {
  const std::int64_t row_bytes = matrix.dim * 4;
  const auto begin_of = [&](std::int64_t row) {  // each row adds a space and a newline
    return words.offsets[static_cast<std::size_t>(row)] +
           static_cast<std::uint64_t>(row * (row_bytes + 2));
  };
  std::string file(begin_of(matrix.rows), '\0');
  base::parallel_blocks(matrix.rows, base::kBlockRows, threads,
                        [&](std::int64_t begin, std::int64_t end) {
                          std::vector<float> values(static_cast<std::size_t>(matrix.dim));
                          for (std::int64_t row = begin; row < end; ++row) {
                            char* at = file.data() + begin_of(row);
                            at = std::ranges::copy(words[row], at).out;
                            *at++ = ' ';
                            base::load_rows(matrix, row, 1, values.data());
                            for (const float value : values) {
                              store_little_endian(value, at);
                              at += 4;
                            }
                            *at = '\n';
                          }
                        });
  return file;
}

}  // namespace emcomp::vectors
