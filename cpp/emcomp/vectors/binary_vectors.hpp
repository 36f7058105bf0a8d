// Vectors in word2vec's binary format: a word, a space, the float32 values in little-endian order,
// and a newline (the original program) or none (gensim).
//
// Words end at the first space, but names of several words are written too. A reader that takes the
// first space then takes the rest of the name for numbers, and finds its way back in the next word.
// So each row is looked at: its word, its numbers, and the word after it. Where they cannot be, a
// later space is tried, and taken if all three become sound.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/vectors/row_block.hpp"
#include "emcomp/words/word_list.hpp"

namespace emcomp::vectors {

struct BinaryLayout {
  std::int64_t dim = 0;
  bool newlines = false;  // after every vector, or after none
};

// A part of a file, from a row's first byte on.
struct BinaryPart {
  std::span<const char> bytes;
  std::int64_t offset = 0;     // of its first byte in the file
  std::int64_t first_row = 0;  // the number of its first row
  bool at_end = true;          // whether the file, or the rows that are wanted, end with it
};

struct BinaryRow {
  std::int64_t begin = 0;     // of the word, in the part
  std::int64_t word_end = 0;  // the space; numbers follow
};

struct BinaryRows {
  std::vector<BinaryRow> rows;
  std::int64_t end = 0;  // position in the part after the last of them, and its newline
};

// Finds the whole rows that a part begins with, `most` at most. Of a part that is not at the end, a
// last row counts only if the next word is there too.
// Throws CorruptFileError where the part is at the end of the file and cut short, and FormatError
// where it cannot be told how a row is to be read.
BinaryRows find_binary_rows(const BinaryPart& part, BinaryLayout layout, std::int64_t most);

// Whether vectors are followed by newlines: what fits the first rows of a part.
// Throws as find_binary_rows does where neither fits.
bool has_newlines(const BinaryPart& part, std::int64_t dim, std::int64_t most);

// Words and numbers of `out.rows` rows that were found.
words::WordBuffer read_binary_rows(const BinaryPart& part, const BinaryRows& found, RowBlock out,
                                   int threads);

// Words and vectors as the original program writes them.
std::string format_binary(const base::MatrixView& matrix, const words::WordList& words,
                          int threads);

}  // namespace emcomp::vectors
