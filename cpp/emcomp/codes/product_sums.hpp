// A round of k-means for all parts of a product quantizer, as sums over rows that can be merged.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/codes/product_quantizer.hpp"

namespace emcomp::codes {

// What the rows nearest to each codeword add up to. An update takes the sums of its block from zero
// and then adds them to those before: merging the sums of single blocks in order gives the same
// bits, wherever each was computed.
class ProductSums {
 public:
  struct Totals {
    std::vector<double> sums;  // part after part, [2^bits, columns of the part] each
    std::vector<std::int64_t> counts;
    std::vector<double> errors;
    std::vector<float> farthest;   // the row farthest from each codeword, laid out as the sums
    std::vector<float> distances;  // its squared distance

    explicit Totals(const ProductLayout& layout);
  };

  // codebook [2^bits, dim].
  ProductSums(const float* codebook, const ProductLayout& layout);

  // Adds a block whose first row is row `first_row` of the table. Throws InputError at a row that
  // is not finite.
  void update(const base::MatrixView& block, std::int64_t first_row, int threads);

  // Adds rows that follow those added here, summed for the same codebook.
  void merge(const ProductSums& other) { merge(other.totals_); }

  // All that was added, to be kept or sent; they go to sums for the same codebook.
  const Totals& totals() const { return totals_; }
  void set_totals(Totals totals) { totals_ = std::move(totals); }

  const ProductLayout& layout() const { return encoder_.layout(); }
  const std::vector<float>& codebook() const { return codebook_; }

  std::vector<double> sums() const;                                           // [2^bits, dim]
  const std::vector<std::int64_t>& counts() const { return totals_.counts; }  // [parts, 2^bits]
  const std::vector<double>& errors() const { return totals_.errors; }        // squared, the same

  // The codebook of the next round [2^bits, dim]: codewords move to the means of their rows. Those
  // without rows move to the rows of their part that lie farthest from other codewords, one from
  // each; where fewer are off their codewords, some stay.
  std::vector<float> next_codebook() const;

 private:
  struct Strip;
  void merge(const Totals& other);
  void add_strip(const Strip& strip, const float* rows, std::int64_t count,
                 const std::int32_t* codes, const float* distances, Totals& totals) const;
  std::vector<Strip> strips() const;

  ProductEncoder encoder_;
  std::vector<float> codebook_;
  Totals totals_;
};

}  // namespace emcomp::codes
