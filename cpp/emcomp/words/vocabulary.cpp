#include "emcomp/words/vocabulary.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "emcomp/base/checksum.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"

namespace emcomp::words {

namespace {

constexpr std::int64_t kWordsPerTask = 4096;

std::optional<std::int64_t> probe(const Vocabulary& vocabulary, std::string_view word,
                                  std::uint64_t hash) {
  const std::size_t mask = vocabulary.slots.size() - 1;
  for (std::size_t step = 0; step <= mask; ++step) {
    const std::uint32_t row = vocabulary.slots[(hash + step) & mask];
    if (row == kEmptySlot) return std::nullopt;
    if (vocabulary.words[row] == word) return row;
  }
  throw CorruptFileError("the vocabulary's index is full: it must have empty slots");
}

[[noreturn]] void throw_duplicate(std::string_view word, std::int64_t first, std::int64_t second) {
  throw InputError("the word '" + std::string(word) + "' is in rows " + std::to_string(first) +
                   " and " + std::to_string(second) + ": every row needs a word of its own");
}

}  // namespace

std::int64_t index_slots(std::int64_t rows) {
  const auto least = static_cast<std::uint64_t>((rows * 5 + 2) / 3);
  return static_cast<std::int64_t>(std::bit_ceil(std::max<std::uint64_t>(least, 1)));
}

void build_index(const WordList& words, std::span<std::uint32_t> slots, int threads) {
  const std::int64_t rows = words.size();
  if (rows >= kEmptySlot) throw InputError("a vocabulary has fewer than 4,294,967,295 words");
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(rows));
  base::parallel_blocks(rows, kWordsPerTask, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      hashes[static_cast<std::size_t>(row)] = base::checksum(words[row]);
    }
  });

  std::fill(slots.begin(), slots.end(), kEmptySlot);
  const std::size_t mask = slots.size() - 1;
  constexpr std::size_t kAhead = 16;  // words whose slots are being fetched
  for (std::size_t row = 0; row < hashes.size(); ++row) {
    if (row + kAhead < hashes.size()) __builtin_prefetch(&slots[hashes[row + kAhead] & mask], 1);
    std::size_t slot = hashes[row] & mask;
    for (; slots[slot] != kEmptySlot; slot = (slot + 1) & mask) {
      const std::uint32_t other = slots[slot];
      if (hashes[other] != hashes[row]) continue;
      const std::string_view word = words[static_cast<std::int64_t>(row)];
      if (words[other] == word) {
        throw_duplicate(word, other, static_cast<std::int64_t>(row));
      }
    }
    slots[slot] = static_cast<std::uint32_t>(row);
  }
}

std::optional<std::int64_t> find(const Vocabulary& vocabulary, std::string_view word) {
  return probe(vocabulary, word, base::checksum(word));
}

void find_many(const Vocabulary& vocabulary, std::span<const std::string_view> words,
               std::span<std::int64_t> rows, int threads) {
  // Every probe waits for memory three times: the slot, the offsets, the bytes. A group of words
  // goes through the three together, so that the waits overlap.
  constexpr std::int64_t kGroup = 16;
  const std::size_t mask = vocabulary.slots.size() - 1;
  const auto find_group = [&](std::int64_t begin, std::int64_t end) {
    std::array<std::uint64_t, kGroup> hashes;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint64_t hash = base::checksum(words[static_cast<std::size_t>(i)]);
      __builtin_prefetch(&vocabulary.slots[hash & mask]);
      hashes[static_cast<std::size_t>(i - begin)] = hash;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t row =
          vocabulary.slots[hashes[static_cast<std::size_t>(i - begin)] & mask];
      if (row < vocabulary.words.size()) __builtin_prefetch(&vocabulary.words.offsets[row]);
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t row =
          vocabulary.slots[hashes[static_cast<std::size_t>(i - begin)] & mask];
      if (row >= vocabulary.words.size()) continue;
      const std::uint64_t offset = vocabulary.words.offsets[row];
      if (offset < vocabulary.words.bytes.size()) {
        __builtin_prefetch(&vocabulary.words.bytes[offset]);
      }
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      rows[at] =
          probe(vocabulary, words[at], hashes[static_cast<std::size_t>(i - begin)]).value_or(-1);
    }
  };
  const auto count = static_cast<std::int64_t>(words.size());
  base::parallel_blocks(count, kWordsPerTask, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kGroup) {
      find_group(first, std::min(first + kGroup, end));
    }
  });
}

}  // namespace emcomp::words
