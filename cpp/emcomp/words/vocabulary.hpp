// Words by row and rows by word, read in place from arrays that may be mapped from a file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "emcomp/words/word_list.hpp"

namespace emcomp::words {

// A hash table of rows: open addressing with linear probing, at most 60 % full, the slot of a word
// being the low bits of its XXH64 hash.
inline constexpr std::uint32_t kEmptySlot = 0xffffffffu;

struct Vocabulary {
  WordList words;
  std::span<const std::uint32_t> slots;  // a power of two of them
};

// Slots of the index of `rows` words: the smallest power of two that is at least rows / 0.6.
std::int64_t index_slots(std::int64_t rows);

// Fills slots [index_slots(rows)], in the order of the rows.
// Throws InputError naming both rows if a word is there twice.
void build_index(const WordList& words, std::span<std::uint32_t> slots, int threads);

// The row of a word.
std::optional<std::int64_t> find(const Vocabulary& vocabulary, std::string_view word);

// The rows of many words, -1 where a word is not there.
void find_many(const Vocabulary& vocabulary, std::span<const std::string_view> words,
               std::span<std::int64_t> rows, int threads);

}  // namespace emcomp::words
