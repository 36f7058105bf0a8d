#include "emcomp/words/duplicates.hpp"

#include <bit>
#include <functional>
#include <string_view>

namespace emcomp::words {

std::vector<std::int64_t> first_occurrences(const WordList& words) {
  const auto count = static_cast<std::size_t>(words.size());
  const std::size_t mask = std::bit_ceil(2 * count + 1) - 1;
  // Open addressing; part of the hash is kept in the slot, so that words are seldom compared.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t used = 0;
    std::int64_t row = 0;
  };
  std::vector<Slot> slots(mask + 1);
  std::vector<std::int64_t> first(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const std::string_view word = words[row];
    const std::uint64_t hash = std::hash<std::string_view>{}(word);
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t at = hash & mask;
    while (slots[at].used != 0 && !(slots[at].hash == tag && words[slots[at].row] == word)) {
      at = (at + 1) & mask;
    }
    if (slots[at].used == 0) slots[at] = {tag, 1, row};
    first[i] = slots[at].row;
  }
  return first;
}

}  // namespace emcomp::words
