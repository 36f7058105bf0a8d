#include "emcomp/lookup.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

#include "emcomp/parallel.hpp"

namespace emcomp {

namespace {

// Blocks of `total` items for dynamic scheduling: several for each thread, none too small.
std::int64_t block_for(std::int64_t total, int threads, std::int64_t least) {
  return std::max(least, (total + threads * 8 - 1) / (threads * 8));
}

// Produces `count` rows block by block: straight into float32 output, else through a small buffer.
template <class Produce>
void write_rows(std::int64_t count, std::int64_t dim, DType dtype, std::byte* out, int threads,
                Produce produce) {
  threads = threads_for(count * dim, threads);
  const std::int64_t row_size = dim * item_size(dtype);
  parallel_blocks(
      count, block_for(count, threads, 64), threads, [&](std::int64_t begin, std::int64_t end) {
        if (dtype == DType::kFloat32) {
          produce(begin, end, reinterpret_cast<float*>(out + begin * row_size));
          return;
        }
        constexpr std::int64_t kRows = 32;
        std::vector<float> rows(static_cast<std::size_t>(kRows * dim));
        for (std::int64_t first = begin; first < end; first += kRows) {
          const std::int64_t last = std::min(first + kRows, end);
          produce(first, last, rows.data());
          store_floats(rows.data(), (last - first) * dim, dtype, out + first * row_size);
        }
      });
}

struct Candidate {
  double cosine;
  std::int64_t row;
};

bool better(const Candidate& a, const Candidate& b) {
  return a.cosine > b.cosine || (a.cosine == b.cosine && a.row < b.row);
}

// The best k candidates seen, as a heap with the worst of them on top.
class Best {
 public:
  explicit Best(std::int64_t k) : k_(static_cast<std::size_t>(k)) {}

  void offer(Candidate candidate) {
    if (heap_.size() < k_) {
      heap_.push_back(candidate);
      std::push_heap(heap_.begin(), heap_.end(), better);
    } else if (better(candidate, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), better);
      heap_.back() = candidate;
      std::push_heap(heap_.begin(), heap_.end(), better);
    }
  }

  void merge(const Best& other) {
    for (const Candidate& candidate : other.heap_) offer(candidate);
  }

  std::vector<Candidate> sorted() const {
    std::vector<Candidate> result = heap_;
    std::sort(result.begin(), result.end(), better);
    return result;
  }

 private:
  std::size_t k_;
  std::vector<Candidate> heap_;
};

}  // namespace

std::int64_t find_bad_id(std::span<const std::int64_t> ids, std::int64_t rows) {
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
  for (const std::int64_t id : ids) {
    lowest = std::min(lowest, id);
    highest = std::max(highest, id);
  }
  if (lowest >= -rows && highest < rows) return -1;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < -rows || ids[i] >= rows) return static_cast<std::int64_t>(i);
  }
  return -1;
}

void gather_rows(const RowReader& reader, std::span<const std::int64_t> ids, DType dtype,
                 std::byte* out, int threads) {
  write_rows(static_cast<std::int64_t>(ids.size()), reader.dim(), dtype, out, threads,
             [&](std::int64_t begin, std::int64_t end, float* rows) {
               reader.gather(ids.subspan(static_cast<std::size_t>(begin),
                                         static_cast<std::size_t>(end - begin)),
                             rows);
             });
}

void read_rows(const RowReader& reader, std::int64_t first, std::int64_t count, DType dtype,
               std::byte* out, int threads) {
  write_rows(count, reader.dim(), dtype, out, threads,
             [&](std::int64_t begin, std::int64_t end, float* rows) {
               reader.read(first + begin, end - begin, rows);
             });
}

void reduce_bags(const RowReader& reader, std::span<const std::int64_t> ids,
                 std::span<const std::int64_t> offsets, const float* weights, BagMode mode,
                 float* out, int threads) {
  const auto bags = static_cast<std::int64_t>(offsets.size());
  threads = threads_for(static_cast<std::int64_t>(ids.size()) * reader.dim(), threads);
  parallel_blocks(
      bags, block_for(bags, threads, 8), threads, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t b = begin; b < end; ++b) {
          const auto first = static_cast<std::size_t>(offsets[b]);
          const std::size_t last =
              b + 1 < bags ? static_cast<std::size_t>(offsets[b + 1]) : ids.size();
          reader.bag(ids.subspan(first, last - first),
                     weights == nullptr ? nullptr : weights + first, mode, out + b * reader.dim());
        }
      });
}

void most_similar(const RowReader& reader, const float* queries, std::int64_t query_count,
                  std::int64_t k, std::int64_t* rows, double* cosines, int threads) {
  const std::int64_t dim = reader.dim();
  for (std::int64_t q = 0; q < query_count; ++q) {
    const float* query = queries + q * dim;
    double query_norm = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) query_norm += double{query[c]} * double{query[c]};
    query_norm = std::sqrt(query_norm);
    Best best(k);
    std::mutex merging;
    parallel_blocks(reader.rows(), block_for(reader.rows(), threads, 1024), threads,
                    [&](std::int64_t begin, std::int64_t end) {
                      constexpr std::int64_t kRows = 256;
                      std::array<double, kRows> dots;
                      std::array<double, kRows> norms;
                      Best own(k);
                      for (std::int64_t first = begin; first < end; first += kRows) {
                        const std::int64_t count = std::min(kRows, end - first);
                        reader.score(first, count, query, dots.data(), norms.data());
                        for (std::int64_t i = 0; i < count; ++i) {
                          const auto at = static_cast<std::size_t>(i);
                          const double scale = std::sqrt(norms[at]) * query_norm;
                          own.offer({scale > 0.0 ? dots[at] / scale : 0.0, first + i});
                        }
                      }
                      const std::lock_guard<std::mutex> lock(merging);
                      best.merge(own);
                    });
    const std::vector<Candidate> sorted = best.sorted();
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      rows[q * k + static_cast<std::int64_t>(i)] = sorted[i].row;
      cosines[q * k + static_cast<std::int64_t>(i)] = sorted[i].cosine;
    }
  }
}

}  // namespace emcomp
