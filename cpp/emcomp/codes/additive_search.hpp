// Finding codes whose codewords sum to a row, whatever the codebooks: local search with restarts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::codes {

struct AdditiveShape {
  std::int64_t dim = 0;
  std::int64_t codes = 0;      // M, codebooks and codes of a row
  std::int64_t codewords = 0;  // K, in each codebook, at most 256

  std::int64_t all_codewords() const { return codes * codewords; }
};

// Iterated conditional modes: each code in turn takes the codeword that is best beside the others,
// until none changes. A restart lets a few codes go, puts one of them on a codeword at random and
// the others on the best beside it, and goes on from there; it is kept where the error falls
// (iterated local search, as in Martinez et al. 2016, "Revisiting additive quantization").
class AdditiveSearch {
 public:
  // codebooks [codes, codewords, dim].
  AdditiveSearch(std::span<const float> codebooks, const AdditiveShape& shape, int threads);

  const AdditiveShape& shape() const { return shape_; }

  // Codes of rows from nothing: one after another, always the codeword that helps most. Writes
  // codes [matrix.rows, codes].
  void pursue(const base::MatrixView& matrix, std::uint8_t* codes, int threads) const;

  // Improves codes [matrix.rows, codes]. What is drawn depends on the seed and the row's index in
  // the table alone. Returns the sum of squared errors after it.
  double improve(const base::MatrixView& matrix, std::int64_t first_row, int restarts,
                 std::uint64_t seed, std::uint8_t* codes, int threads) const;

 private:
  friend class RowSearch;

  AdditiveShape shape_;
  std::vector<float> codebooks_;
  std::vector<float> half_norms_;  // half the squared norm of each codeword
  // Products of all codewords with each other, zero for two of one codebook.
  std::vector<float> products_;
};

}  // namespace emcomp::codes
