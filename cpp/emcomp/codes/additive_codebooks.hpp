// The codebooks whose sums come closest to a table, for given codes: linear least squares.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/codes/additive_search.hpp"

namespace emcomp::codes {

// What the least-squares codebooks depend on: how often two codewords meet in a row, and the sum of
// the rows of each codeword (Babenko & Lempitsky 2014, "Additive quantization", section 3.3).
class AdditiveStatistics {
 public:
  explicit AdditiveStatistics(const AdditiveShape& shape);

  const AdditiveShape& shape() const { return shape_; }

  // codes [matrix.rows, codes].
  void update(const base::MatrixView& matrix, const std::uint8_t* codes, int threads);
  void merge(const AdditiveStatistics& other);

  // Rows of each codeword [codes, codewords].
  std::vector<std::uint32_t> counts() const;

  // Codebooks [codes, codewords, dim]. Only differences between codebooks are determined, and
  // codewords without rows are not: where the rows leave a choice, it falls on what is closest to
  // the codebooks before.
  std::vector<float> solve(std::span<const float> before, int threads) const;

 private:
  AdditiveShape shape_;
  std::vector<std::uint32_t> meetings_;  // [codes * codewords]^2, above the diagonal of codebooks
  std::vector<double> sums_;             // [codes * codewords, dim]
};

}  // namespace emcomp::codes
