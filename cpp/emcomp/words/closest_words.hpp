// The words nearest to a word that is not there.
#pragma once

#include <cstdint>
#include <vector>

#include "emcomp/words/vocabulary.hpp"

namespace emcomp::words {

// Rows of at most `count` words, nearest first: by edit distance (insertions, deletions and
// substitutions of code points) ignoring case, then by edit distance minding case, then by row.
// Words further away than half the letters of `word` (rounded up) are not near at all.
// Bytes that are not UTF-8 count as one code point each.
std::vector<std::int64_t> closest_words(const WordList& words, std::string_view word, int count,
                                        int threads);

}  // namespace emcomp::words
