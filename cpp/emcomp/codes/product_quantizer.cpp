#include "emcomp/codes/product_quantizer.hpp"

#include <algorithm>

#include "emcomp/base/index.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/kmeans/fit.hpp"
#include "emcomp/kmeans/lloyd.hpp"
#include "emcomp/packing/code_stream.hpp"

namespace emcomp::codes {

namespace {

// A seed for each part from the one for all of them.
std::uint64_t part_seed(std::uint64_t seed, std::int64_t part) {
  return seed + static_cast<std::uint64_t>(part) * 0x9E3779B97F4A7C15u;
}

}  // namespace

void start_product_codebook(const base::MatrixView& sample, const ProductLayout& layout,
                            std::int64_t first_part, std::int64_t last_part, std::uint64_t seed,
                            float* codebook, int threads) {
  const std::int64_t parts = last_part - first_part;
  // Either several parts at once or several threads on each.
  const bool apart = parts >= threads;
  base::parallel_blocks(parts, 1, apart ? threads : 1, [&](std::int64_t index, std::int64_t) {
    const std::int64_t part = first_part + index;
    const std::int64_t first = layout.first_column(part);
    const std::int64_t width = layout.first_column(part + 1) - first;
    // The part's columns lie together while they are read again and again.
    std::vector<float> columns(base::at(sample.rows * width));
    base::load_rows(kmeans::columns_of(sample, first, width), 0, sample.rows, columns.data());
    const std::vector<float> centroids =
        kmeans::start_centroids(kmeans::dense_view(columns, width), layout.codewords(),
                                part_seed(seed, part), apart ? 1 : threads);
    for (std::int64_t c = 0; c < layout.codewords(); ++c) {
      std::copy_n(centroids.data() + c * width, width, codebook + c * layout.dim + first);
    }
  });
}

ProductEncoder::ProductEncoder(const float* codebook, const ProductLayout& layout)
    : layout_(layout), shift_(base::at(layout.dim)) {
  const std::int64_t count = layout.codewords();
  for (std::int64_t j = 0; j < layout.dim; ++j) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < count; ++c) sum += codebook[c * layout.dim + j];
    shift_[base::at(j)] = static_cast<float>(sum / static_cast<double>(count));
  }
  codewords_.reserve(base::at(count * layout.dim));
  for (std::int64_t part = 0; part < layout.parts; ++part) {
    const std::int64_t first = layout.first_column(part);
    const std::int64_t last = layout.first_column(part + 1);
    for (std::int64_t c = 0; c < count; ++c) {
      for (std::int64_t j = first; j < last; ++j) {
        codewords_.push_back(codebook[c * layout.dim + j] - shift_[base::at(j)]);
      }
    }
    parts_.emplace_back(codewords_.data() + first * count, count, last - first);
  }
}

void ProductEncoder::search(const float* rows, std::int64_t count, std::int64_t first_row,
                            kmeans::Products products, std::int32_t* codes,
                            float* distances) const {
  const std::int64_t dim = layout_.dim;
  const std::int64_t parts = layout_.parts;
  std::vector<float> shifted(base::at(count * dim));
  std::vector<std::int32_t> found(base::at(count));
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t j = 0; j < dim; ++j)
      shifted[base::at(r * dim + j)] = rows[r * dim + j] - shift_[base::at(j)];
    kmeans::checked_squared_norm(shifted.data() + r * dim, dim, first_row + r);
  }
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t first = layout_.first_column(part);
    const std::int64_t width = layout_.first_column(part + 1) - first;
    parts_[base::at(part)].search(shifted.data() + first, dim, count, products, found.data());
    for (std::int64_t r = 0; r < count; ++r) codes[r * parts + part] = found[base::at(r)];
    if (distances == nullptr) continue;
    const float* codewords = codewords_.data() + first * layout_.codewords();
    for (std::int64_t r = 0; r < count; ++r) {
      distances[r * parts + part] = kmeans::squared_distance(
          shifted.data() + r * dim + first, codewords + found[base::at(r)] * width, width);
    }
  }
}

void ProductEncoder::encode(const base::MatrixView& matrix, std::int64_t first_row,
                            std::uint8_t* packed, int threads) const {
  const std::int64_t dim = layout_.dim;
  const std::int64_t parts = layout_.parts;
  threads = base::threads_for(matrix.rows * dim * layout_.codewords() / 8, threads);
  base::parallel_blocks(
      matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t count = end - begin;
        std::vector<float> scratch(matrix.is_plain() ? 0 : base::at(count * dim));
        std::vector<std::int32_t> codes(base::at(count * parts));
        const float* rows = base::rows_as_float(matrix, begin, count, scratch.data());
        search(rows, count, first_row + begin, kmeans::Products::kPortable, codes.data(), nullptr);
        for (std::int64_t r = 0; r < count; ++r) {
          packing::write_codes(codes.data() + r * parts, parts, layout_.bits,
                               packed + (begin + r) * layout_.row_bytes());
        }
      });
}

}  // namespace emcomp::codes
