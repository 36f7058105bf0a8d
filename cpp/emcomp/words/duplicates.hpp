// Words that occur more than once.
#pragma once

#include <cstdint>
#include <vector>

#include "emcomp/words/word_list.hpp"

namespace emcomp::words {

// For each word the index of its first occurrence: its own where it is new.
std::vector<std::int64_t> first_occurrences(const WordList& words);

}  // namespace emcomp::words
