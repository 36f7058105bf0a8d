#include "emcomp/words/closest_words.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "emcomp/base/parallel.hpp"

namespace emcomp::words {

namespace {

using CodePoint = std::uint32_t;
using Text = std::vector<CodePoint>;

// Continuation bytes a valid first byte asks for, 0 for ASCII, -1 for a byte that cannot be first.
int continuation_bytes(std::uint8_t first) {
  if (first < 0x80) return 0;
  if (first < 0xc2) return -1;
  if (first < 0xe0) return 1;
  if (first < 0xf0) return 2;
  return first < 0xf5 ? 3 : -1;
}

// Replaces text by the code points of a word. A byte that is not part of UTF-8 becomes
// 0xdc00 + byte, as in Python's surrogateescape.
void decode(std::string_view word, Text& text) {
  text.clear();
  for (std::size_t at = 0; at < word.size();) {
    const auto first = static_cast<std::uint8_t>(word[at]);
    const int more = continuation_bytes(first);
    bool valid = more >= 0 && at + static_cast<std::size_t>(more) < word.size();
    CodePoint value = more <= 0 ? first : first & (0x3fu >> more);
    for (int i = 1; valid && i <= more; ++i) {
      const auto byte = static_cast<std::uint8_t>(word[at + static_cast<std::size_t>(i)]);
      valid = (byte & 0xc0u) == 0x80;
      value = (value << 6) | (byte & 0x3fu);
    }
    text.push_back(valid ? value : 0xdc00u + first);
    at += valid ? static_cast<std::size_t>(more) + 1 : 1;
  }
}

// Lower case of Latin-1, Greek and Cyrillic letters; every other code point as it is.
CodePoint lower(CodePoint c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
  if (c >= 0x391 && c <= 0x3a9) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  if (c >= 0x410 && c <= 0x42f) return c + 32;
  return c;
}

void lower(Text& text) {
  for (CodePoint& c : text) c = lower(c);
}

using Bits = std::uint64_t;

// One column of the table of distances, a bit for each pattern letter: where the distance goes up
// and where it goes down by one.
struct Column {
  std::vector<Bits> rises;
  std::vector<Bits> falls;
};

// Edit distances to one pattern: Hyyrö, "A bit-vector algorithm for computing Levenshtein and
// Damerau edit distances" (2003), in blocks of 64 pattern letters as Myers (1999) has in section 4.
class EditDistance {
 public:
  explicit EditDistance(const Text& pattern)
      : length_(pattern.size()), blocks_((length_ + 63) / 64), ascii_(128 * blocks_) {
    for (std::size_t i = 0; i < length_; ++i) {
      const CodePoint letter = pattern[i];
      Bits* places = letter < 128 ? &ascii_[letter * blocks_]
                                  : others_.try_emplace(letter, blocks_).first->second.data();
      places[i / 64] |= Bits{1} << (i % 64);
    }
    nowhere_.resize(blocks_);
  }

  std::int64_t length() const { return static_cast<std::int64_t>(length_); }

  // The distance to a text; `column` is scratch space.
  std::int64_t to(const Text& text, Column& column) const {
    if (length_ == 0) return static_cast<std::int64_t>(text.size());
    column.rises.assign(blocks_, ~Bits{0});
    column.falls.assign(blocks_, 0);
    const Bits last = Bits{1} << ((length_ - 1) % 64);
    std::int64_t distance = length();
    for (const CodePoint letter : text) {
      const Bits* places = find(letter);
      int carry = 1;  // how the cell above the block differs from the one on its left
      for (std::size_t b = 0; b < blocks_; ++b) {
        carry = advance(places[b], carry, column.rises[b], column.falls[b],
                        b + 1 == blocks_ ? last : Bits{1} << 63);
      }
      distance += carry;
    }
    return distance;
  }

 private:
  const Bits* find(CodePoint letter) const {
    if (letter < 128) return &ascii_[letter * blocks_];
    const auto found = others_.find(letter);
    return found == others_.end() ? nowhere_.data() : found->second.data();
  }

  // Moves 64 pattern letters on to the next column; returns how much the distance at bit `last`
  // changes by that.
  static int advance(Bits places, int carry, Bits& rise, Bits& fall, Bits last) {
    const Bits vertical = places | fall;
    if (carry < 0) places |= 1;
    const Bits horizontal = (((places & rise) + rise) ^ rise) | places;
    Bits up = fall | ~(horizontal | rise);
    Bits down = rise & horizontal;
    const int out = static_cast<int>((up & last) != 0) - static_cast<int>((down & last) != 0);
    up = (up << 1) | static_cast<Bits>(carry > 0);
    down = (down << 1) | static_cast<Bits>(carry < 0);
    rise = down | ~(vertical | up);
    fall = up & vertical;
    return out;
  }

  std::size_t length_;
  std::size_t blocks_;
  std::vector<Bits> ascii_;  // [128, blocks]: for each letter, where in the pattern it is
  std::unordered_map<CodePoint, std::vector<Bits>> others_;
  std::vector<Bits> nowhere_;
};

struct Candidate {
  std::int64_t folded;  // distance ignoring case
  std::int64_t exact;   // distance minding case
  std::int64_t row;

  auto operator<=>(const Candidate&) const = default;
};

// The nearest candidates so far, in order.
class Nearest {
 public:
  Nearest(std::int64_t furthest, std::size_t count) : furthest_(furthest), count_(count) {}

  // A candidate beyond this distance is of no use.
  std::int64_t furthest() const {
    return candidates_.size() < count_ ? furthest_ : candidates_.back().folded;
  }

  void add(const Candidate& candidate) {
    candidates_.insert(std::ranges::upper_bound(candidates_, candidate), candidate);
    if (candidates_.size() > count_) candidates_.pop_back();
  }

  const std::vector<Candidate>& candidates() const { return candidates_; }

 private:
  std::int64_t furthest_;
  std::size_t count_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<std::int64_t> closest_words(const WordList& words, std::string_view word, int count,
                                        int threads) {
  if (count <= 0) return {};
  Text pattern;
  decode(word, pattern);
  const EditDistance exact(pattern);
  lower(pattern);
  const EditDistance folded(pattern);
  const std::int64_t length = exact.length();

  Nearest nearest((length + 1) / 2, static_cast<std::size_t>(count));
  std::mutex nearest_mutex;
  constexpr std::int64_t kWordsPerTask = 1 << 14;
  base::parallel_blocks(
      words.size(), kWordsPerTask, threads, [&](std::int64_t begin, std::int64_t end) {
        Nearest found = [&] {
          const std::lock_guard<std::mutex> lock(nearest_mutex);
          return Nearest(nearest.furthest(), static_cast<std::size_t>(count));
        }();
        Text text;
        Column column;
        for (std::int64_t row = begin; row < end; ++row) {
          const std::string_view candidate = words[row];
          const std::int64_t furthest = found.furthest();
          if (static_cast<std::int64_t>(candidate.size()) + furthest < length) continue;
          decode(candidate, text);
          if (std::abs(static_cast<std::int64_t>(text.size()) - length) > furthest) continue;
          lower(text);
          const std::int64_t folded_distance = folded.to(text, column);
          if (folded_distance > furthest) continue;
          decode(candidate, text);
          found.add({folded_distance, exact.to(text, column), row});
        }
        const std::lock_guard<std::mutex> lock(nearest_mutex);
        for (const Candidate& candidate : found.candidates()) nearest.add(candidate);
      });

  std::vector<std::int64_t> rows;
  for (const Candidate& candidate : nearest.candidates()) rows.push_back(candidate.row);
  return rows;
}

}  // namespace emcomp::words
