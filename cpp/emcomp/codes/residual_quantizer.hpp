// Residual quantization (Chen, Guan & Wang 2010, "Approximate nearest neighbor search by residual
// vector quantization"; with beam search, Babenko & Lempitsky 2014, "Additive quantization"): a row
// is the sum of one codeword from each of several codebooks, each learned from what is left.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/kmeans/nearest_codeword.hpp"

namespace emcomp::codes {

struct ResidualLayout {
  std::int64_t dim = 0;
  std::int64_t stages = 0;  // codewords of a row
  int bits = 0;             // 1 to 12
  std::int64_t beam = 1;    // codings of a row that are kept from stage to stage

  std::int64_t codewords() const { return std::int64_t{1} << bits; }
  std::int64_t row_bytes() const { return (stages * bits + 7) / 8; }

  // Whether the products of all codewords with each other fit in a gigabyte.
  bool tabulated() const {
    return stages * (stages - 1) / 2 * codewords() * codewords() <= std::int64_t{1} << 28;
  }
};

// The best codings of some rows after some stages, best first.
class Beams {
 public:
  Beams(std::int64_t rows, const ResidualLayout& layout);

  std::int64_t live() const { return live_; }  // codings of each row
  float& score(std::int64_t row, std::int64_t rank) { return scores_[index(row, rank)]; }
  std::uint16_t* codes(std::int64_t row, std::int64_t rank) {
    return codes_.data() + index(row, rank) * static_cast<std::size_t>(stages_);
  }
  void set_live(std::int64_t live) { live_ = live; }

 private:
  std::size_t index(std::int64_t row, std::int64_t rank) const {
    return static_cast<std::size_t>(row * width_ + rank);
  }

  std::int64_t width_;
  std::int64_t stages_;
  std::int64_t live_ = 1;
  std::vector<float> scores_;  // half the squared error, less half the row's squared norm
  std::vector<std::uint16_t> codes_;
};

// Finds codings stage by stage. The error of a sum of codewords is that of its parts and their
// products with each other, which are kept in tables: a stage costs a few additions a codeword.
// Where the tables would be large, what a coding leaves over is multiplied by all codewords
// instead.
class ResidualEncoder {
 public:
  explicit ResidualEncoder(const ResidualLayout& layout) : layout_(layout) {}

  // Adds the codebook [2^bits, dim] of the next stage.
  void add_stage(std::span<const float> codebook, int threads);

  const ResidualLayout& layout() const { return layout_; }
  std::int64_t stages() const { return static_cast<std::int64_t>(stages_.size()); }

  // Extends the codings of rows [beams' rows, dim], dense, by a stage.
  void extend(const float* rows, std::int64_t count, std::int64_t stage, Beams& beams) const;

  // Packed codes of all rows of a matrix whose first row is row `first_row` of the table, to packed
  // [rows, (stages * bits + 7) / 8]. Throws InputError at a row that is not finite.
  void encode(const base::MatrixView& matrix, std::int64_t first_row, std::uint8_t* packed,
              int threads) const;

 private:
  struct Stage {
    std::vector<float> codebook;
    std::vector<float> half_norms;
    kmeans::NearestCodeword products;
    // Products of the codewords of each stage before with this one's, [2^bits, 2^bits] each; none
    // unless the layout is tabulated.
    std::vector<std::vector<float>> cross;
  };

  // Adds to totals [2^bits] the products of a stage's codewords with those of the stages before.
  void add_cross(const Stage& stage, const std::uint16_t* codes, float* totals) const;
  // Products [beams' codings, 2^bits] of a stage's codewords with what the codings of a row leave.
  void multiply_rests(const float* row, std::int64_t stage, Beams& beams, std::int64_t index,
                      std::vector<float>& rests, std::vector<float>& products) const;

  ResidualLayout layout_;
  std::vector<Stage> stages_;
};

// Learns codebooks stage by stage by k-means on the residuals of the best codings so far.
class ResidualTrainer {
 public:
  ResidualTrainer(const base::MatrixView& rows, const ResidualLayout& layout);

  void train_stage(int iterations, std::uint64_t seed, int threads);

  // Moves all codebooks together towards the least squares for the codings that the rows have, then
  // finds new codings. Only after the last stage.
  void refine(int threads);

  // Sum of squared residuals of the rows.
  double error() const;

  const ResidualLayout& layout() const { return layout_; }

  // Codebooks so far [stages, 2^bits, dim].
  const std::vector<float>& codebooks() const { return codebooks_; }

 private:
  std::span<const float> codebook(std::int64_t stage) const;
  void extend_all(std::int64_t first_stage, std::int64_t last_stage, int threads);
  void fit_codebooks(int threads);

  ResidualLayout layout_;
  ResidualEncoder encoder_;
  std::vector<float> rows_;
  std::vector<float> residuals_;
  std::vector<Beams> beams_;  // for each block of rows
  std::vector<float> codebooks_;
};

}  // namespace emcomp::codes
