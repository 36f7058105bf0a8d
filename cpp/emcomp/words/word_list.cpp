#include "emcomp/words/word_list.hpp"

#include <algorithm>
#include <string>

#include "emcomp/base/errors.hpp"

namespace emcomp::words {

void WordList::throw_no_word(std::int64_t index) const {
  throw CorruptFileError("the vocabulary's index names row " + std::to_string(index) + " of " +
                         std::to_string(size()));
}

void WordList::throw_outside(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(index);
  throw CorruptFileError("the vocabulary says that word " + std::to_string(index) +
                         " lies in bytes " + std::to_string(offsets[at]) + " to " +
                         std::to_string(offsets[at + 1]) + " of " + std::to_string(bytes.size()));
}

bool WordList::is_sound() const {
  return !offsets.empty() && offsets.front() == 0 && offsets.back() == bytes.size() &&
         std::ranges::is_sorted(offsets);
}

}  // namespace emcomp::words
