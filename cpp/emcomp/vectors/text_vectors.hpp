// Vectors as text: on each line a word and its numbers, parsed and written with many threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/vectors/row_block.hpp"
#include "emcomp/words/word_list.hpp"

namespace emcomp::vectors {

// Lines in a text; a last line without a newline counts.
std::int64_t count_lines(std::span<const char> text, int threads);

// How many fields a line has, separated by spaces and tabs, and how many numbers it ends with.
struct FieldCount {
  std::int64_t fields = 0;
  std::int64_t numbers = 0;
};
FieldCount count_fields(std::string_view line);

// Where a line of columns has its numbers and its word. Fields may be quoted as in CSV, with '"'.
struct Columns {
  char separator = ' ';    // ' ' stands for any number of spaces and tabs
  std::int64_t word = -1;  // column of the word, or -1
  std::int64_t first = 0;  // column of the first number; the others follow it
  std::int64_t count = 0;  // of all columns
};

// Parses the first `out.rows` lines of a text that has at least as many; returns their words.
//
// A line is a word, then `dim` numbers, separated by spaces or tabs, then perhaps spaces, tabs and
// a carriage return. Lines are split from the right, so that a word may have spaces inside, but
// its last part may not be a number: that is taken for a line with too many numbers.
// Throws FormatError for the first bad line; `first_line` is the number of the text's first one.
words::WordBuffer parse_lines(std::span<const char> text, std::int64_t first_line, RowBlock out,
                              int threads, const Columns* columns = nullptr);

// Lines of words and vectors, numbers as the shortest text that reads back as the same float32.
std::string format_lines(const base::MatrixView& matrix, const words::WordList& words, int threads);

// Throws InputError for the first word that a line of text could not give back. Words of formats
// that end a word at the first space may not have one.
void check_words(const words::WordList& words, bool spaces_allowed);

}  // namespace emcomp::vectors
