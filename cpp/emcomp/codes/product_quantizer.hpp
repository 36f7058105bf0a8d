// Product quantization (Jégou, Douze & Schmid 2011, "Product quantization for nearest neighbor
// search"): columns fall into parts, and each part of a row is coded by its nearest codeword.
//
// The codebook is one matrix [2^bits, dim]: codeword c of a part is row c of the part's columns.
#pragma once

#include <cstdint>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/kmeans/nearest_codeword.hpp"

namespace emcomp::codes {

struct ProductLayout {
  std::int64_t dim = 0;
  std::int64_t parts = 0;  // at most dim
  int bits = 0;            // 1 to 12

  bool operator==(const ProductLayout&) const = default;

  std::int64_t codewords() const { return std::int64_t{1} << bits; }
  std::int64_t row_bytes() const { return (parts * bits + 7) / 8; }

  // First column of a part; that of part `parts` is dim. Where parts do not divide dim, the first
  // dim % parts of them have one column more than the others.
  std::int64_t first_column(std::int64_t part) const {
    const std::int64_t extra = dim % parts;
    return part * (dim / parts) + (part < extra ? part : extra);
  }
};

// Starts k-means for parts [first_part, last_part): writes the codewords that start_centroids
// chooses to the parts' columns of codebook [2^bits, dim]. They depend on the seed and the part
// alone.
void start_product_codebook(const base::MatrixView& sample, const ProductLayout& layout,
                            std::int64_t first_part, std::int64_t last_part, std::uint64_t seed,
                            float* codebook, int threads);

class ProductEncoder {
 public:
  // codebook [2^bits, dim].
  ProductEncoder(const float* codebook, const ProductLayout& layout);

  const ProductLayout& layout() const { return layout_; }

  // The nearest codewords of dense rows [count, dim], the first of which is row `first_row` of the
  // table, and their squared distances, both [count, parts]; distances may be null. Throws
  // InputError at a row that is not finite.
  void search(const float* rows, std::int64_t count, std::int64_t first_row,
              kmeans::Products products, std::int32_t* codes, float* distances) const;

  // Codes of all rows of a matrix whose first row is row `first_row` of the table, to packed [rows,
  // row_bytes]. Throws InputError at a row that is not finite.
  void encode(const base::MatrixView& matrix, std::int64_t first_row, std::uint8_t* packed,
              int threads) const;

 private:
  ProductLayout layout_;
  std::vector<float>
      shift_;  // [dim], taken off rows and codewords: a common offset costs no digits
  std::vector<float> codewords_;  // shifted, part after part, [2^bits, columns of the part] each
  std::vector<kmeans::NearestCodeword> parts_;
};

}  // namespace emcomp::codes
