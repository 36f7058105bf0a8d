// Words that occur more than once.
#pragma once

#include <cstdint>
#include <vector>

#include "emcomp/word_list.hpp"

namespace emcomp {

// For each word the index of its first occurrence: its own where it is new.
std::vector<std::int64_t> first_occurrences(const WordView& words);

}  // namespace emcomp
