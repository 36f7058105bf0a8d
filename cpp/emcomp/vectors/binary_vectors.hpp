// Vectors in word2vec's binary format: a word, a space, the float32 values in little-endian order,
// and, as the original program writes it, a newline.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/vectors/row_block.hpp"
#include "emcomp/words/word_list.hpp"

namespace emcomp::vectors {

struct BinaryRows {
  words::WordBuffer words;
  std::int64_t end = 0;  // position after the last vector, and its newline if there is one
};

// Reads `out.rows` vectors from `position` of the file on; `first_row` is the first one's number.
// Throws CorruptFileError where the file ends too early.
BinaryRows read_binary_rows(std::span<const char> file, std::int64_t position,
                            std::int64_t first_row, RowBlock out, int threads);

struct WholeRows {
  std::int64_t rows = 0;
  std::int64_t end = 0;  // position after the last of them, and its newline if there is one
};

// Counts the whole vectors that `window` begins with, `most` at most. `at_end` tells that the file
// ends with it; otherwise a last vector counts only if the byte after it, perhaps its newline, is
// there.
WholeRows whole_binary_rows(std::span<const char> window, std::int64_t dim, std::int64_t most,
                            bool at_end);

// Words and vectors as the original program writes them.
std::string format_binary(const base::MatrixView& matrix, const words::WordList& words,
                          int threads);

}  // namespace emcomp::vectors
