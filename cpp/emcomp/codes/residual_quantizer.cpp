#include "emcomp/codes/residual_quantizer.hpp"

#include <algorithm>
#include <limits>

#include "emcomp/base/index.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/kmeans/fit.hpp"
#include "emcomp/kmeans/lloyd.hpp"
#include "emcomp/packing/code_stream.hpp"

namespace emcomp::codes {

namespace {

// A coding of one stage more: coding `rank` of the row, followed by a codeword.
struct Candidate {
  float score;
  std::int32_t rank;
  std::int32_t codeword;
};

// The `width` best candidates in order; of equal ones the first that came.
class Shortlist {
 public:
  explicit Shortlist(std::int64_t width) : width_(width) { entries_.reserve(base::at(width) + 1); }

  void clear() { entries_.clear(); }

  float worst() const {
    return static_cast<std::int64_t>(entries_.size()) < width_
               ? std::numeric_limits<float>::infinity()
               : entries_.back().score;
  }

  void add(const Candidate& candidate) {
    const auto after = [&](const Candidate& entry) { return entry.score > candidate.score; };
    entries_.insert(std::find_if(entries_.begin(), entries_.end(), after), candidate);
    if (static_cast<std::int64_t>(entries_.size()) > width_) entries_.pop_back();
  }

  const std::vector<Candidate>& entries() const { return entries_; }

 private:
  std::int64_t width_;
  std::vector<Candidate> entries_;
};

}  // namespace

Beams::Beams(std::int64_t rows, const ResidualLayout& layout)
    : width_(layout.beam),
      stages_(layout.stages),
      scores_(base::at(rows * layout.beam)),
      codes_(base::at(rows * layout.beam * layout.stages)) {}

void ResidualEncoder::add_stage(std::span<const float> codebook, int threads) {
  const std::int64_t count = layout_.codewords();
  const std::int64_t dim = layout_.dim;
  Stage stage = {
      .codebook = {codebook.begin(), codebook.end()},
      .half_norms = {},
      .products = kmeans::NearestCodeword(codebook.data(), count, dim),
      .cross = std::vector<std::vector<float>>(layout_.tabulated() ? stages_.size() : 0)};
  const std::vector<float> zeros(base::at(dim));
  for (std::int64_t c = 0; c < count; ++c) {
    stage.half_norms.push_back(
        0.5f * kmeans::squared_distance(codebook.data() + c * dim, zeros.data(), dim));
  }
  base::parallel_blocks(static_cast<std::int64_t>(stage.cross.size()), 1, threads,
                        [&](std::int64_t before, std::int64_t) {
                          auto& cross = stage.cross[base::at(before)];
                          cross.resize(base::at(count * count));
                          stage.products.products(stages_[base::at(before)].codebook.data(), dim,
                                                  count, cross.data());
                        });
  stages_.push_back(std::move(stage));
}

void ResidualEncoder::extend(const float* rows, std::int64_t count, std::int64_t stage_index,
                             Beams& beams) const {
  const Stage& stage = stages_[base::at(stage_index)];
  const std::int64_t codewords = layout_.codewords();
  const bool tabulated = layout_.tabulated() || stage_index == 0;
  std::vector<float> products(tabulated ? base::at(count * codewords) : 0);
  if (tabulated) stage.products.products(rows, layout_.dim, count, products.data());
  std::vector<float> rests;

  std::vector<float> totals(base::at(codewords));
  std::vector<std::uint16_t> old_codes(base::at(layout_.beam * layout_.stages));
  Shortlist shortlist(layout_.beam);
  std::int64_t live = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    shortlist.clear();
    if (!tabulated) {
      multiply_rests(rows + r * layout_.dim, stage_index, beams, r, rests, products);
    }
    for (std::int64_t rank = 0; rank < beams.live(); ++rank) {
      const float score = stage_index == 0 ? 0.0f : beams.score(r, rank);
      const float* product = products.data() + (tabulated ? r : rank) * codewords;
      for (std::int64_t c = 0; c < codewords; ++c) {
        totals[base::at(c)] = score + (stage.half_norms[base::at(c)] - product[c]);
      }
      add_cross(stage, beams.codes(r, rank), totals.data());
      constexpr std::int64_t kTogether = 16;
      for (std::int64_t first = 0; first < codewords; first += kTogether) {
        const std::int64_t last = std::min(first + kTogether, codewords);
        float least = totals[base::at(first)];
        for (std::int64_t c = first + 1; c < last; ++c) {
          least = totals[base::at(c)] < least ? totals[base::at(c)] : least;
        }
        if (!(least < shortlist.worst())) continue;
        for (std::int64_t c = first; c < last; ++c) {
          if (totals[base::at(c)] < shortlist.worst()) {
            shortlist.add({totals[base::at(c)], static_cast<std::int32_t>(rank),
                           static_cast<std::int32_t>(c)});
          }
        }
      }
    }
    std::copy_n(beams.codes(r, 0), old_codes.size(), old_codes.data());
    live = static_cast<std::int64_t>(shortlist.entries().size());
    for (std::int64_t rank = 0; rank < live; ++rank) {
      const Candidate& candidate = shortlist.entries()[base::at(rank)];
      beams.score(r, rank) = candidate.score;
      std::uint16_t* codes = beams.codes(r, rank);
      std::copy_n(old_codes.data() + candidate.rank * layout_.stages, stage_index, codes);
      codes[stage_index] = static_cast<std::uint16_t>(candidate.codeword);
    }
  }
  beams.set_live(live);
}

void ResidualEncoder::add_cross(const Stage& stage, const std::uint16_t* codes,
                                float* totals) const {
  const std::int64_t codewords = layout_.codewords();
  for (const std::vector<float>& table : stage.cross) {
    const float* cross = table.data() + *codes++ * codewords;
    for (std::int64_t c = 0; c < codewords; ++c) totals[c] += cross[c];
  }
}

void ResidualEncoder::multiply_rests(const float* row, std::int64_t stage, Beams& beams,
                                     std::int64_t index, std::vector<float>& rests,
                                     std::vector<float>& products) const {
  const std::int64_t dim = layout_.dim;
  rests.resize(base::at(beams.live() * dim));
  products.resize(base::at(beams.live() * layout_.codewords()));
  for (std::int64_t rank = 0; rank < beams.live(); ++rank) {
    float* rest = rests.data() + rank * dim;
    std::copy_n(row, dim, rest);
    const std::uint16_t* codes = beams.codes(index, rank);
    for (std::int64_t before = 0; before < stage; ++before) {
      const float* codeword = stages_[base::at(before)].codebook.data() + codes[before] * dim;
      for (std::int64_t j = 0; j < dim; ++j) rest[j] -= codeword[j];
    }
  }
  stages_[base::at(stage)].products.products(rests.data(), dim, beams.live(), products.data());
}

void ResidualEncoder::encode(const base::MatrixView& matrix, std::int64_t first_row,
                             std::uint8_t* packed, int threads) const {
  base::parallel_blocks(
      matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t count = end - begin;
        std::vector<float> scratch(base::at(count * layout_.dim));
        const float* rows = base::rows_as_float(matrix, begin, count, scratch.data());
        for (std::int64_t r = 0; r < count; ++r) {
          kmeans::checked_squared_norm(rows + r * layout_.dim, layout_.dim, first_row + begin + r);
        }
        Beams beams(count, layout_);
        for (std::int64_t stage = 0; stage < stages(); ++stage) extend(rows, count, stage, beams);
        std::vector<std::int32_t> codes(base::at(layout_.stages));
        for (std::int64_t r = 0; r < count; ++r) {
          std::copy_n(beams.codes(r, 0), layout_.stages, codes.data());
          packing::write_codes(codes.data(), layout_.stages, layout_.bits,
                               packed + (begin + r) * layout_.row_bytes());
        }
      });
}

ResidualTrainer::ResidualTrainer(const base::MatrixView& rows, const ResidualLayout& layout)
    : layout_(layout), encoder_(layout), rows_(base::at(rows.rows * rows.dim)) {
  base::load_rows(rows, 0, rows.rows, rows_.data());
  residuals_ = rows_;
  for (std::int64_t begin = 0; begin < rows.rows; begin += base::kBlockRows) {
    beams_.emplace_back(std::min(base::kBlockRows, rows.rows - begin), layout);
  }
}

void ResidualTrainer::train_stage(int iterations, std::uint64_t seed, int threads) {
  const std::int64_t stage = encoder_.stages();
  const std::int64_t dim = layout_.dim;
  const std::vector<float> codebook = kmeans::fit_centroids(
      kmeans::dense_view(residuals_, dim), layout_.codewords(), iterations,
      seed + static_cast<std::uint64_t>(stage) * 0x9E3779B97F4A7C15u, threads);
  encoder_.add_stage(codebook, threads);
  codebooks_.insert(codebooks_.end(), codebook.begin(), codebook.end());
  extend_all(stage, stage + 1, threads);
}

void ResidualTrainer::refine(int threads) {
  fit_codebooks(threads);
  encoder_ = ResidualEncoder(layout_);
  for (std::int64_t stage = 0; stage < layout_.stages; ++stage) {
    encoder_.add_stage(codebook(stage), threads);
  }
  for (Beams& beams : beams_) beams.set_live(1);
  extend_all(0, layout_.stages, threads);
}

double ResidualTrainer::error() const {
  double error = 0.0;
  for (const float value : residuals_) error += static_cast<double>(value) * value;
  return error;
}

std::span<const float> ResidualTrainer::codebook(std::int64_t stage) const {
  const std::size_t size = base::at(layout_.codewords() * layout_.dim);
  return {codebooks_.data() + base::at(stage) * size, size};
}

// Extends the codings of all rows by some stages, and takes the best ones off the rows.
void ResidualTrainer::extend_all(std::int64_t first_stage, std::int64_t last_stage, int threads) {
  const std::int64_t dim = layout_.dim;
  const auto rows = static_cast<std::int64_t>(rows_.size()) / dim;
  base::parallel_blocks(rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
    Beams& beams = beams_[base::at(begin / base::kBlockRows)];
    for (std::int64_t stage = first_stage; stage < last_stage; ++stage) {
      encoder_.extend(rows_.data() + begin * dim, end - begin, stage, beams);
    }
    for (std::int64_t r = begin; r < end; ++r) {
      float* residual = residuals_.data() + r * dim;
      std::copy_n(rows_.data() + r * dim, dim, residual);
      const std::uint16_t* codes = beams.codes(r - begin, 0);
      for (std::int64_t stage = 0; stage < last_stage; ++stage) {
        const float* codeword = codebook(stage).data() + codes[stage] * dim;
        for (std::int64_t j = 0; j < dim; ++j) residual[j] -= codeword[j];
      }
    }
  });
}

// Sweeps over the codebooks: each codeword takes on the mean of what its rows still lack. Columns
// do not depend on each other, so threads share them out.
void ResidualTrainer::fit_codebooks(int threads) {
  constexpr int kSweeps = 4;
  constexpr std::int64_t kColumnsTogether = 32;
  const std::int64_t dim = layout_.dim;
  const std::int64_t codewords = layout_.codewords();
  const auto rows = static_cast<std::int64_t>(rows_.size()) / dim;
  base::parallel_blocks(dim, kColumnsTogether, threads, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t width = end - begin;
    std::vector<double> sums;
    std::vector<std::int64_t> sizes;
    for (std::int64_t turn = 0; turn < kSweeps * layout_.stages; ++turn) {
      const std::int64_t stage = turn % layout_.stages;
      const auto code_of = [&](std::int64_t row) {
        return std::int64_t{
            beams_[base::at(row / base::kBlockRows)].codes(row % base::kBlockRows, 0)[stage]};
      };
      sums.assign(base::at(codewords * width), 0.0);
      sizes.assign(base::at(codewords), 0);
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t code = code_of(row);
        const float* residual = residuals_.data() + row * dim + begin;
        ++sizes[base::at(code)];
        for (std::int64_t j = 0; j < width; ++j) sums[base::at(code * width + j)] += residual[j];
      }
      for (std::int64_t code = 0; code < codewords; ++code) {
        if (sizes[base::at(code)] == 0) continue;
        float* codeword = codebooks_.data() + (stage * codewords + code) * dim + begin;
        for (std::int64_t j = 0; j < width; ++j) {
          double& mean = sums[base::at(code * width + j)];
          const auto moved =
              static_cast<float>(codeword[j] + mean / static_cast<double>(sizes[base::at(code)]));
          mean = static_cast<double>(moved) - codeword[j];
          codeword[j] = moved;
        }
      }
      for (std::int64_t row = 0; row < rows; ++row) {
        const double* step = sums.data() + code_of(row) * width;
        float* residual = residuals_.data() + row * dim + begin;
        for (std::int64_t j = 0; j < width; ++j) residual[j] -= static_cast<float>(step[j]);
      }
    }
  });
}

}  // namespace emcomp::codes
