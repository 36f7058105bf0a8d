// The words nearest to a word that is not there.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "emcomp/words/word_list.hpp"

namespace emcomp::words {

// Rows of at most `count` words that begin and end as `word` does, ignoring the case of ASCII
// letters, but for a stretch of at most half of its bytes (rounded up): shortest stretch first,
// then by row.
std::vector<std::int64_t> closest_words(const WordList& words, std::string_view word, int count);

}  // namespace emcomp::words
