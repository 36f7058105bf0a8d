#include "emcomp/readers/lookup.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <mutex>

#include "emcomp/base/parallel.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::readers {

namespace {

// Blocks of `total` items for dynamic scheduling: several for each thread, none too small.
std::int64_t block_for(std::int64_t total, int threads, std::int64_t least) {
  return std::max(least, (total + threads * 8 - 1) / (threads * 8));
}

// Rows handled together where they go through a buffer: it stays in the first-level cache.
constexpr std::int64_t kRowsTogether = 4;

// Output of this size does not fit the caches: it is written past them.
constexpr std::int64_t kStreamedBytes = std::int64_t{16} << 20;

// Calls produce(begin, end, floats) for a few rows at a time and brings the floats to the output:
// small float32 output is produced in place, the rest through a buffer.
template <class Produce>
void write_rows(std::int64_t count, std::int64_t dim, base::DType dtype, std::byte* out,
                int threads, Produce produce) {
  threads = base::threads_for(count * dim, threads);
  const std::int64_t row_size = dim * base::item_size(dtype);
  const bool streamed = count * row_size >= kStreamedBytes;
  const bool in_place = dtype == base::DType::kFloat32 && !streamed;
  const auto buffer_size = static_cast<std::size_t>(kRowsTogether * dim);
  base::parallel_blocks(
      count, block_for(count, threads, 64), threads, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> rows(in_place ? 0 : buffer_size);
        std::vector<std::byte> converted(
            dtype == base::DType::kFloat32
                ? 0
                : buffer_size * static_cast<std::size_t>(base::item_size(dtype)));
        if (in_place) {
          produce(begin, end, reinterpret_cast<float*>(out + begin * row_size));
          return;
        }
        for (std::int64_t first = begin; first < end; first += kRowsTogether) {
          const std::int64_t last = std::min(first + kRowsTogether, end);
          std::byte* target = out + first * row_size;
          produce(first, last, rows.data());
          const std::byte* source = reinterpret_cast<const std::byte*>(rows.data());
          if (dtype != base::DType::kFloat32) {
            base::store_floats(rows.data(), (last - first) * dim, dtype, converted.data());
            source = converted.data();
          }
          if (streamed) {
            simd::stream(target, source, (last - first) * row_size);
          } else {
            std::memcpy(target, source, static_cast<std::size_t>((last - first) * row_size));
          }
        }
        simd::finish_streams();
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

void gather_rows(const RowReader& reader, std::span<const std::int64_t> ids, base::DType dtype,
                 std::byte* out, int threads) {
  write_rows(static_cast<std::int64_t>(ids.size()), reader.dim(), dtype, out, threads,
             [&](std::int64_t begin, std::int64_t end, float* rows) {
               reader.gather(ids, static_cast<std::size_t>(begin),
                             static_cast<std::size_t>(end - begin), rows);
             });
}

void read_rows(const RowReader& reader, std::int64_t first, std::int64_t count, base::DType dtype,
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
  threads = base::threads_for(static_cast<std::int64_t>(ids.size()) * reader.dim(), threads);
  const auto bag_ids = [&](std::int64_t bag) {
    const auto first = static_cast<std::size_t>(offsets[static_cast<std::size_t>(bag)]);
    const std::size_t last =
        bag + 1 < bags ? static_cast<std::size_t>(offsets[static_cast<std::size_t>(bag) + 1])
                       : ids.size();
    return ids.subspan(first, last - first);
  };
  base::parallel_blocks(
      bags, block_for(bags, threads, 8), threads, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t bag = begin; bag < end; ++bag) {
          if (bag + 1 < end) {
            const std::span<const std::int64_t> next = bag_ids(bag + 1);
            reader.prefetch(next.first(std::min<std::size_t>(next.size(), 32)));
          }
          reader.bag(
              bag_ids(bag),
              weights == nullptr ? nullptr : weights + offsets[static_cast<std::size_t>(bag)], mode,
              out + bag * reader.dim());
        }
      });
}

void most_similar(const RowReader& reader, const float* queries, std::int64_t query_count,
                  std::int64_t k, std::int64_t* rows, double* cosines, int threads) {
  const std::int64_t dim = reader.dim();
  for (std::int64_t q = 0; q < query_count; ++q) {
    const float* query = queries + q * dim;
    const Query prepared = reader.prepare({query, query + dim});
    double query_norm = 0.0;
    for (std::int64_t c = 0; c < dim; ++c) query_norm += double{query[c]} * double{query[c]};
    query_norm = std::sqrt(query_norm);
    Best best(k);
    std::mutex merging;
    base::parallel_blocks(reader.rows(), block_for(reader.rows(), threads, 1024), threads,
                          [&](std::int64_t begin, std::int64_t end) {
                            constexpr std::int64_t kRows = 256;
                            std::array<double, kRows> dots;
                            std::array<double, kRows> norms;
                            Best own(k);
                            for (std::int64_t first = begin; first < end; first += kRows) {
                              const std::int64_t count = std::min(kRows, end - first);
                              reader.score(first, count, prepared, dots.data(), norms.data());
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

}  // namespace emcomp::readers
