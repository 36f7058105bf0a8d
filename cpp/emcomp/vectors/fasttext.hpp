// fastText's own model file: words, and a matrix with a row for each word and for each bucket of
// character n-grams. The vector of a word is the mean of its own row and those of its n-grams.
//
// Bojanowski et al., Enriching Word Vectors with Subword Information (2017), section 3.2.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "emcomp/vectors/row_block.hpp"
#include "emcomp/words/word_list.hpp"

namespace emcomp::vectors {

inline constexpr std::int32_t kFastTextMagic = 793712314;

// What is needed of a model to compute word vectors; the file stays where it is.
struct FastTextModel {
  std::int64_t dim = 0;
  std::int32_t shortest_ngram = 0;
  std::int32_t longest_ngram = 0;  // 0: words have no n-grams
  std::int64_t buckets = 0;
  bool pruned = false;
  std::unordered_map<std::int32_t, std::int32_t> kept_buckets;  // where pruned: bucket to its row
  words::WordBuffer words;
  const char* matrix = nullptr;  // [matrix_rows, dim] little-endian float32
  std::int64_t matrix_rows = 0;

  std::int64_t rows() const { return words.list().size(); }
};

// Reads the dictionary and finds the matrix. Every length is checked against the file's size.
// Throws FormatError for a quantized model or an unknown version, CorruptFileError for one that
// is cut short or contradicts itself.
FastTextModel open_fasttext(std::span<const char> file);

// Vectors of words [first, first + out.rows), as fastText itself returns them.
void fasttext_rows(const FastTextModel& model, std::int64_t first, RowBlock out, int threads);

}  // namespace emcomp::vectors
