#include "emcomp/codes/product_sums.hpp"

#include <algorithm>
#include <numeric>

#include "emcomp/base/index.hpp"
#include "emcomp/base/parallel.hpp"

namespace emcomp::codes {

namespace {

constexpr std::int64_t kRowsTogether = 1024;   // searched, then added up while they are in cache
constexpr std::int64_t kColumnsTogether = 64;  // that a thread adds up

template <class T>
void add_to(std::vector<T>& totals, const std::vector<T>& terms) {
  for (std::size_t i = 0; i < totals.size(); ++i) totals[i] += terms[i];
}

}  // namespace

// Columns [first, last) of a part; `offset` and `width` are where the part starts and its size.
struct ProductSums::Strip {
  std::int64_t part;
  std::int64_t offset;
  std::int64_t width;
  std::int64_t first;
  std::int64_t last;
};

ProductSums::Totals::Totals(const ProductLayout& layout)
    : sums(base::at(layout.codewords() * layout.dim)),
      counts(base::at(layout.codewords() * layout.parts)),
      errors(counts.size()),
      farthest(sums.size()),
      distances(counts.size()) {}

ProductSums::ProductSums(const float* codebook, const ProductLayout& layout)
    : encoder_(codebook, layout),
      codebook_(codebook, codebook + layout.codewords() * layout.dim),
      totals_(layout) {}

std::vector<ProductSums::Strip> ProductSums::strips() const {
  std::vector<Strip> strips;
  for (std::int64_t part = 0; part < layout().parts; ++part) {
    const std::int64_t offset = layout().first_column(part);
    const std::int64_t width = layout().first_column(part + 1) - offset;
    for (std::int64_t first = 0; first < width; first += kColumnsTogether) {
      strips.push_back({part, offset, width, first, std::min(first + kColumnsTogether, width)});
    }
  }
  return strips;
}

void ProductSums::update(const base::MatrixView& block, std::int64_t first_row, int threads) {
  const std::int64_t dim = layout().dim;
  const std::int64_t parts = layout().parts;
  const std::vector<Strip> strips = this->strips();
  Totals totals(layout());
  threads = base::threads_for(block.rows * dim * layout().codewords() / 8, threads);
  const std::int64_t most = std::min(block.rows, kRowsTogether * threads);
  std::vector<float> scratch(block.is_plain() ? 0 : base::at(most * dim));
  std::vector<std::int32_t> codes(base::at(most * parts));
  std::vector<float> distances(codes.size());
  for (std::int64_t start = 0; start < block.rows; start += most) {
    const std::int64_t count = std::min(most, block.rows - start);
    const float* rows = block.is_plain() ? reinterpret_cast<const float*>(block.data) + start * dim
                                         : scratch.data();
    base::parallel_blocks(
        count, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
          if (!block.is_plain()) {
            base::load_rows(block, start + begin, end - begin, scratch.data() + begin * dim);
          }
          encoder_.search(rows + begin * dim, end - begin, first_row + start + begin,
                          kmeans::Products::kFused, codes.data() + begin * parts,
                          distances.data() + begin * parts);
        });
    // Threads share out the columns, so that every sum is taken in the order of the rows.
    base::parallel_blocks(static_cast<std::int64_t>(strips.size()), 1, threads,
                          [&](std::int64_t strip, std::int64_t) {
                            add_strip(strips[base::at(strip)], rows, count, codes.data(),
                                      distances.data(), totals);
                          });
  }
  merge(totals);
}

void ProductSums::add_strip(const Strip& strip, const float* rows, std::int64_t count,
                            const std::int32_t* codes, const float* distances,
                            Totals& totals) const {
  const std::int64_t codewords = layout().codewords();
  const std::int64_t width = strip.last - strip.first;
  double* const sums = totals.sums.data() + strip.offset * codewords + strip.first;
  for (std::int64_t r = 0; r < count; ++r) {
    const float* row = rows + r * layout().dim + strip.offset;
    const std::int64_t code = codes[r * layout().parts + strip.part];
    double* sum = sums + code * strip.width;
    for (std::int64_t j = 0; j < width; ++j) sum[j] += row[strip.first + j];
    if (strip.first > 0) continue;
    const std::size_t entry = base::at(strip.part * codewords + code);
    const float distance = distances[r * layout().parts + strip.part];
    ++totals.counts[entry];
    totals.errors[entry] += distance;
    if (distance > totals.distances[entry]) {
      totals.distances[entry] = distance;
      std::copy_n(row, strip.width,
                  totals.farthest.data() + strip.offset * codewords + code * strip.width);
    }
  }
}

void ProductSums::merge(const Totals& other) {
  const std::int64_t codewords = layout().codewords();
  add_to(totals_.sums, other.sums);
  add_to(totals_.counts, other.counts);
  add_to(totals_.errors, other.errors);
  for (const Strip& strip : strips()) {
    if (strip.first > 0) continue;
    for (std::int64_t code = 0; code < codewords; ++code) {
      const std::size_t entry = base::at(strip.part * codewords + code);
      if (!(other.distances[entry] > totals_.distances[entry])) continue;
      totals_.distances[entry] = other.distances[entry];
      const std::int64_t row = strip.offset * codewords + code * strip.width;
      std::copy_n(other.farthest.data() + row, strip.width, totals_.farthest.data() + row);
    }
  }
}

std::vector<double> ProductSums::sums() const {
  const std::int64_t codewords = layout().codewords();
  std::vector<double> sums(totals_.sums.size());
  for (const Strip& strip : strips()) {
    for (std::int64_t code = 0; code < codewords; ++code) {
      const double* from = totals_.sums.data() + strip.offset * codewords + code * strip.width;
      std::copy(from + strip.first, from + strip.last,
                sums.data() + code * layout().dim + strip.offset + strip.first);
    }
  }
  return sums;
}

std::vector<float> ProductSums::next_codebook() const {
  const std::int64_t codewords = layout().codewords();
  std::vector<float> codebook = codebook_;
  std::vector<std::int64_t> order(base::at(codewords));
  for (const Strip& strip : strips()) {
    if (strip.first > 0) continue;
    const std::int64_t* counts = totals_.counts.data() + strip.part * codewords;
    const float* distances = totals_.distances.data() + strip.part * codewords;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return distances[a] > distances[b]; });
    auto donor = order.begin();
    for (std::int64_t code = 0; code < codewords; ++code) {
      float* codeword = codebook.data() + code * layout().dim + strip.offset;
      const std::int64_t part = strip.offset * codewords;
      if (counts[code] > 0) {
        const double* sum = totals_.sums.data() + part + code * strip.width;
        for (std::int64_t j = 0; j < strip.width; ++j) {
          codeword[j] = static_cast<float>(sum[j] / static_cast<double>(counts[code]));
        }
      } else if (donor != order.end() && distances[*donor] > 0.0f) {
        std::copy_n(totals_.farthest.data() + part + *donor++ * strip.width, strip.width, codeword);
      }
    }
  }
  return codebook;
}

}  // namespace emcomp::codes
