#include "emcomp/product_quantizer.hpp"

#include <algorithm>

#include "emcomp/code_stream.hpp"
#include "emcomp/kmeans_fit.hpp"
#include "emcomp/parallel.hpp"
#include "emcomp/vector_kmeans.hpp"

namespace emcomp {

namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// A seed for each part from the one for all of them.
std::uint64_t part_seed(std::uint64_t seed, std::int64_t part) {
  return seed + static_cast<std::uint64_t>(part) * 0x9E3779B97F4A7C15u;
}

}  // namespace

void train_product_codebook(const MatrixView& rows, const ProductLayout& layout,
                            std::int64_t first_part, std::int64_t last_part, int iterations,
                            std::uint64_t seed, float* codebook, int threads) {
  const std::int64_t parts = last_part - first_part;
  // Either several parts at once or several threads on each.
  const bool apart = parts >= threads;
  parallel_blocks(parts, 1, apart ? threads : 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t part = first_part + index;
    const std::int64_t first = layout.first_column(part);
    const std::int64_t width = layout.first_column(part + 1) - first;
    // The part's columns lie together while they are read round after round.
    std::vector<float> columns(at(rows.rows * width));
    load_rows(columns_of(rows, first, width), 0, rows.rows, columns.data());
    const std::vector<float> centroids =
        fit_centroids(dense_view(columns, width), layout.codewords(), iterations,
                      part_seed(seed, part), apart ? 1 : threads);
    for (std::int64_t c = 0; c < layout.codewords(); ++c) {
      std::copy_n(centroids.data() + c * width, width, codebook + c * layout.dim + first);
    }
  });
}

ProductEncoder::ProductEncoder(const float* codebook, const ProductLayout& layout)
    : layout_(layout), shift_(at(layout.dim)) {
  const std::int64_t count = layout.codewords();
  for (std::int64_t j = 0; j < layout.dim; ++j) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < count; ++c) sum += codebook[c * layout.dim + j];
    shift_[at(j)] = static_cast<float>(sum / static_cast<double>(count));
  }
  std::vector<float> codewords;
  for (std::int64_t part = 0; part < layout.parts; ++part) {
    const std::int64_t first = layout.first_column(part);
    const std::int64_t last = layout.first_column(part + 1);
    codewords.clear();
    for (std::int64_t c = 0; c < count; ++c) {
      for (std::int64_t j = first; j < last; ++j) {
        codewords.push_back(codebook[c * layout.dim + j] - shift_[at(j)]);
      }
    }
    parts_.emplace_back(codewords.data(), count, last - first);
  }
}

void ProductEncoder::encode(const MatrixView& matrix, std::int64_t first_row, std::uint8_t* packed,
                            int threads) const {
  const std::int64_t dim = layout_.dim;
  const std::int64_t parts = layout_.parts;
  threads = threads_for(matrix.rows * dim * layout_.codewords() / 8, threads);
  parallel_blocks(matrix.rows, kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t count = end - begin;
    std::vector<float> rows(at(count * dim));
    std::vector<std::int32_t> found(at(count));
    std::vector<std::int32_t> codes(at(count * parts));
    const float* source = rows_as_float(matrix, begin, count, rows.data());
    for (std::int64_t r = 0; r < count; ++r) {
      for (std::int64_t j = 0; j < dim; ++j)
        rows[at(r * dim + j)] = source[r * dim + j] - shift_[at(j)];
      checked_squared_norm(rows.data() + r * dim, dim, first_row + begin + r);
    }
    for (std::int64_t part = 0; part < parts; ++part) {
      parts_[at(part)].search(rows.data() + layout_.first_column(part), dim, count,
                              Products::kPortable, found.data());
      for (std::int64_t r = 0; r < count; ++r) codes[at(r * parts + part)] = found[at(r)];
    }
    for (std::int64_t r = 0; r < count; ++r) {
      write_codes(codes.data() + r * parts, parts, layout_.bits,
                  packed + (begin + r) * layout_.row_bytes());
    }
  });
}

}  // namespace emcomp
