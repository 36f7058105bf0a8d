#include "emcomp/codes/additive_search.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <numeric>

#include "emcomp/base/index.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/base/random.hpp"

namespace emcomp::codes {

namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowsView = Eigen::Map<const Rows>;

constexpr std::int64_t kRows = 64;  // rows whose products with the codewords are kept together

}  // namespace

// The search for one row. `scores_` holds for every codeword what the halved error would change by
// if it were added to the sum without the code of its own codebook.
class RowSearch {
 public:
  explicit RowSearch(const AdditiveSearch& search)
      : search_(search),
        scores_(base::at(search.shape_.all_codewords())),
        best_scores_(scores_.size()),
        codes_(base::at(search.shape_.codes)),
        best_codes_(codes_.size()) {}

  // Starts from a row's products with all codewords and no codes.
  void start(const float* products) {
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      scores_[i] = search_.half_norms_[i] - products[i];
    }
    gain_ = 0.0;
  }

  void start(const float* products, const std::uint8_t* codes) {
    start(products);
    for (std::int64_t m = 0; m < search_.shape_.codes; ++m) assign(m, codes[m]);
  }

  void pursue() {
    const std::int64_t count = search_.shape_.codes;
    std::vector<bool> assigned(base::at(count));
    for (std::int64_t step = 0; step < count; ++step) {
      std::int64_t chosen = -1;
      float least = 0.0f;
      for (std::int64_t m = 0; m < count; ++m) {
        if (assigned[base::at(m)]) continue;
        const float score = score_of(m, best_codeword(m));
        if (chosen < 0 || score < least) {
          chosen = m;
          least = score;
        }
      }
      assigned[base::at(chosen)] = true;
      assign(chosen, best_codeword(chosen));
    }
  }

  // Changes one code after another until none gets better.
  void settle() {
    constexpr int kSweeps = 16;
    bool changed = true;
    for (int sweep = 0; sweep < kSweeps && changed; ++sweep) {
      changed = false;
      for (std::int64_t m = 0; m < search_.shape_.codes; ++m) {
        const std::int64_t better = best_codeword(m);
        if (!(score_of(m, better) < score_of(m, codes_[base::at(m)]))) continue;
        release(m);
        assign(m, better);
        changed = true;
      }
    }
  }

  void restart(base::PhiloxKey key, std::int64_t row, int restarts) {
    const std::int64_t count = search_.shape_.codes;
    const std::int64_t released = std::min<std::int64_t>(count, kReleased);
    std::vector<std::int64_t> order(base::at(count));
    std::iota(order.begin(), order.end(), 0);
    for (int attempt = 0; attempt < restarts; ++attempt) {
      keep();
      for (std::int64_t i = 0; i < released; ++i) {
        const base::PhiloxCounter random = base::row_random(key, row, static_cast<std::uint32_t>(i),
                                                            static_cast<std::uint32_t>(attempt));
        std::swap(order[base::at(i)], order[base::at(i + random[0] % (count - i))]);
        release(order[base::at(i)]);
      }
      const base::PhiloxCounter random = base::row_random(
          key, row, static_cast<std::uint32_t>(released), static_cast<std::uint32_t>(attempt));
      assign(order[base::at(released - 1)], random[0] % search_.shape_.codewords);
      for (std::int64_t i = released - 1; i-- > 0;)
        assign(order[base::at(i)], best_codeword(order[base::at(i)]));
      settle();
      if (!(gain_ < best_gain_)) go_back();
    }
  }

  const std::vector<std::uint8_t>& codes() const { return codes_; }

  // Half the squared error less half the row's squared norm.
  double gain() const { return gain_; }

 private:
  static constexpr std::int64_t kReleased = 4;

  float score_of(std::int64_t m, std::int64_t codeword) const {
    return scores_[base::at(m * search_.shape_.codewords + codeword)];
  }

  std::int64_t best_codeword(std::int64_t m) const {
    const std::int64_t count = search_.shape_.codewords;
    const float* scores = scores_.data() + m * count;
    float least = scores[0];
    for (std::int64_t k = 1; k < count; ++k) least = scores[k] < least ? scores[k] : least;
    std::int64_t k = 0;
    while (!(scores[k] <= least) && k + 1 < count) ++k;
    return k;
  }

  void assign(std::int64_t m, std::int64_t codeword) {
    gain_ += static_cast<double>(score_of(m, codeword));
    codes_[base::at(m)] = static_cast<std::uint8_t>(codeword);
    const float* products = products_of(m, codeword);
    for (std::size_t i = 0; i < scores_.size(); ++i) scores_[i] += products[i];
  }

  void release(std::int64_t m) {
    const std::int64_t codeword = codes_[base::at(m)];
    gain_ -= static_cast<double>(score_of(m, codeword));
    const float* products = products_of(m, codeword);
    for (std::size_t i = 0; i < scores_.size(); ++i) scores_[i] -= products[i];
  }

  const float* products_of(std::int64_t m, std::int64_t codeword) const {
    const std::int64_t all = search_.shape_.all_codewords();
    return search_.products_.data() + (m * search_.shape_.codewords + codeword) * all;
  }

  void keep() {
    best_scores_ = scores_;
    best_codes_ = codes_;
    best_gain_ = gain_;
  }

  void go_back() {
    scores_.swap(best_scores_);
    codes_.swap(best_codes_);
    gain_ = best_gain_;
  }

  const AdditiveSearch& search_;
  std::vector<float> scores_;
  std::vector<float> best_scores_;
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint8_t> best_codes_;
  double gain_ = 0.0;
  double best_gain_ = 0.0;
};

AdditiveSearch::AdditiveSearch(std::span<const float> codebooks, const AdditiveShape& shape,
                               int threads)
    : shape_(shape),
      codebooks_(codebooks.begin(), codebooks.end()),
      half_norms_(base::at(shape.all_codewords())),
      products_(base::at(shape.all_codewords() * shape.all_codewords())) {
  const std::int64_t all = shape.all_codewords();
  const RowsView codewords(codebooks_.data(), all, shape.dim);
  Eigen::Map<Rows> products(products_.data(), all, all);
  // A strip lies within one codebook.
  base::parallel_blocks(shape.codes, 1, threads, [&](std::int64_t m, std::int64_t) {
    const std::int64_t first = m * shape.codewords;
    products.middleRows(first, shape.codewords).noalias() =
        codewords.middleRows(first, shape.codewords) * codewords.transpose();
    for (std::int64_t i = first; i < first + shape.codewords; ++i) {
      half_norms_[base::at(i)] = 0.5f * products(i, i);
    }
    products.block(first, first, shape.codewords, shape.codewords).setZero();
  });
}

namespace {

// Calls work(row_in_matrix, row's values, row's products with all codewords) for all rows.
template <class Work>
void for_rows(const base::MatrixView& matrix, const RowsView& codewords, int threads, Work&& work) {
  base::parallel_blocks(matrix.rows, kRows, threads, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t count = end - begin;
    std::vector<float> scratch(matrix.is_plain() ? 0 : base::at(count * matrix.dim));
    const float* rows = base::rows_as_float(matrix, begin, count, scratch.data());
    const Rows products = RowsView(rows, count, matrix.dim) * codewords.transpose();
    work(begin, count, rows, products);
  });
}

}  // namespace

void AdditiveSearch::pursue(const base::MatrixView& matrix, std::uint8_t* codes,
                            int threads) const {
  const RowsView codewords(codebooks_.data(), shape_.all_codewords(), shape_.dim);
  for_rows(matrix, codewords, threads,
           [&](std::int64_t begin, std::int64_t count, const float*, const Rows& products) {
             RowSearch search(*this);
             for (std::int64_t r = 0; r < count; ++r) {
               search.start(products.row(r).data());
               search.pursue();
               std::copy_n(search.codes().data(), shape_.codes, codes + (begin + r) * shape_.codes);
             }
           });
}

double AdditiveSearch::improve(const base::MatrixView& matrix, std::int64_t first_row, int restarts,
                               std::uint64_t seed, std::uint8_t* codes, int threads) const {
  const base::PhiloxKey key = base::philox_key(seed);
  const RowsView codewords(codebooks_.data(), shape_.all_codewords(), shape_.dim);
  std::vector<double> errors(base::at((matrix.rows + kRows - 1) / kRows));
  for_rows(matrix, codewords, threads,
           [&](std::int64_t begin, std::int64_t count, const float* rows, const Rows& products) {
             RowSearch search(*this);
             double& error = errors[base::at(begin / kRows)];
             for (std::int64_t r = 0; r < count; ++r) {
               std::uint8_t* row_codes = codes + (begin + r) * shape_.codes;
               search.start(products.row(r).data(), row_codes);
               search.settle();
               search.restart(key, first_row + begin + r, restarts);
               std::copy_n(search.codes().data(), shape_.codes, row_codes);
               const float* row = rows + r * shape_.dim;
               for (std::int64_t c = 0; c < shape_.dim; ++c) {
                 error += static_cast<double>(row[c]) * static_cast<double>(row[c]);
               }
               error += 2.0 * search.gain();
             }
           });
  return std::accumulate(errors.begin(), errors.end(), 0.0);
}

}  // namespace emcomp::codes
