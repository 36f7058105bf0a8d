#include "emcomp/vectors/binary_vectors.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/vectors/little_endian.hpp"

namespace emcomp::vectors {

BinaryRows read_binary_rows(std::span<const char> file, std::int64_t position,
                            std::int64_t first_row, RowBlock out, int threads) {
  const char* const end = file.data() + file.size();
  const char* at = file.data() + position;
  const std::int64_t row_bytes = out.dim * 4;
  BinaryRows result;
  std::vector<const char*> vectors(static_cast<std::size_t>(out.rows));
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const char* const word_end = std::find(at, end, ' ');
    if (end - word_end < 1 + row_bytes) {
      throw CorruptFileError("the file ends at byte " + std::to_string(file.size()) +
                             ", inside vector " + std::to_string(first_row + row) +
                             " (counted from 0), which begins at byte " +
                             std::to_string(at - file.data()));
    }
    result.words.add({at, word_end});
    vectors[static_cast<std::size_t>(row)] = word_end + 1;
    at = word_end + 1 + row_bytes;
    if (at < end && *at == '\n') ++at;
  }
  base::parallel_blocks(out.rows, base::kBlockRows, threads,
                        [&](std::int64_t begin, std::int64_t stop) {
                          for (std::int64_t row = begin; row < stop; ++row) {
                            load_little_endian(vectors[static_cast<std::size_t>(row)], out.dim,
                                               out.values + row * out.dim);
                          }
                        });
  result.end = at - file.data();
  return result;
}

WholeRows whole_binary_rows(std::span<const char> window, std::int64_t dim, std::int64_t most,
                            bool at_end) {
  const char* const end = window.data() + window.size();
  const char* at = window.data();
  const std::int64_t row_bytes = dim * 4;
  WholeRows found;
  while (found.rows < most) {
    const char* const word_end = std::find(at, end, ' ');
    if (end - word_end < 1 + row_bytes + (at_end ? 0 : 1)) break;
    at = word_end + 1 + row_bytes;
    if (at < end && *at == '\n') ++at;
    ++found.rows;
  }
  found.end = at - window.data();
  return found;
}

std::string format_binary(const base::MatrixView& matrix, const words::WordList& words,
                          int threads) {
  const std::int64_t row_bytes = matrix.dim * 4;
  const auto begin_of = [&](std::int64_t row) {  // each row adds a space and a newline
    return words.offsets[static_cast<std::size_t>(row)] +
           static_cast<std::uint64_t>(row * (row_bytes + 2));
  };
  std::string file(begin_of(matrix.rows), '\0');
  base::parallel_blocks(matrix.rows, base::kBlockRows, threads,
                        [&](std::int64_t begin, std::int64_t end) {
                          std::vector<float> values(static_cast<std::size_t>(matrix.dim));
                          for (std::int64_t row = begin; row < end; ++row) {
                            char* at = file.data() + begin_of(row);
                            at = std::ranges::copy(words[row], at).out;
                            *at++ = ' ';
                            base::load_rows(matrix, row, 1, values.data());
                            for (const float value : values) {
                              store_little_endian(value, at);
                              at += 4;
                            }
                            *at = '\n';
                          }
                        });
  return file;
}

}  // namespace emcomp::vectors
