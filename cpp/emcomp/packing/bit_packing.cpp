#include "emcomp/packing/bit_packing.hpp"

#include <vector>

#include "emcomp/base/parallel.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::packing {

namespace {

using simd::Ints;
using simd::kChunkBytes;
using simd::kLanes;

Ints widen(const std::uint8_t* codes, std::int64_t count) {
  Ints wide{};
  for (std::int64_t lane = 0; lane < count; ++lane) wide[lane] = codes[lane];
  return wide;
}

}  // namespace

void pack_codes(const std::uint8_t* codes, std::int64_t rows, std::int64_t dim, int bits,
                std::uint8_t* packed, int threads) {
  const std::int64_t bytes = row_bytes(dim, bits);
  for_bits(bits, [&](auto width) {
    constexpr int kBits = width;
    base::parallel_blocks(
        rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
          // Packing writes past a chunk's end, so a row is packed aside and then copied.
          std::vector<std::uint8_t> row(static_cast<std::size_t>(bytes) + 4 * kLanes);
          for (std::int64_t r = begin; r < end; ++r) {
            std::uint8_t* target = row.data();
            for (std::int64_t c = 0; c < dim; c += kLanes, target += kChunkBytes<kBits>) {
              simd::pack<kBits>(widen(codes + r * dim + c, std::min<std::int64_t>(kLanes, dim - c)),
                                target);
            }
            std::memcpy(packed + r * bytes, row.data(), static_cast<std::size_t>(bytes));
          }
        });
  });
}

}  // namespace emcomp::packing
