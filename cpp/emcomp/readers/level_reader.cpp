#include "emcomp/readers/level_reader.hpp"

#include <algorithm>
#include <vector>

#include "emcomp/codes/column_groups.hpp"
#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/packing/packed_rows.hpp"
#include "emcomp/readers/chunk_reader.hpp"
#include "emcomp/simd/table.hpp"

namespace emcomp::readers {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kChunkBytes;
using simd::kLanes;

template <int kBits>
inline constexpr std::int64_t kStride = std::max<std::int64_t>(1 << kBits, kLanes);

// The same levels for all columns.
template <int kBits>
struct LevelChunks {
  packing::PackedRows codes;
  std::vector<float> levels;

  using Row = const std::uint8_t*;
  Row row(std::int64_t index) const { return codes.row(index); }
  auto decoder() const {
    return [levels = levels.data()](Row row, std::int64_t chunk) __attribute__((always_inline)) {
      return simd::lookup<kBits>(levels,
                                 simd::unpack_unmasked<kBits>(row + chunk * kChunkBytes<kBits>));
    };
  }
  void prefetch(std::int64_t index) const { codes.prefetch(index); }
};

// Levels for each group of columns.
template <int kBits>
struct GroupLevelChunks {
  packing::PackedRows codes;
  std::vector<float> levels;
  codes::ColumnGroups groups;

  using Row = const std::uint8_t*;
  Row row(std::int64_t index) const { return codes.row(index); }
  auto decoder() const {
    return [levels = levels.data(), &groups = groups](Row row, std::int64_t chunk)
               __attribute__((always_inline)) {
                 const Ints codes = simd::unpack<kBits>(row + chunk * kChunkBytes<kBits>);
                 const std::int32_t common = groups.common(chunk);
                 if (common >= 0) return simd::lookup<kBits>(levels + common, codes);
                 return simd::gather(levels, groups.lanes(chunk) + codes);
               };
  }
  void prefetch(std::int64_t index) const { codes.prefetch(index); }
};

}  // namespace

std::unique_ptr<RowReader> make_level_reader(const std::uint8_t* codes, std::int64_t rows,
                                             std::int64_t dim, const codes::LevelTable& levels) {
  packing::PackedRows packed(codes, rows, packing::row_bytes(dim, levels.bits));
  return packing::for_bits(levels.bits, [&](auto width) -> std::unique_ptr<RowReader> {
    constexpr int kBits = width;
    const std::int64_t groups = levels.groups(dim);
    std::vector<float> padded(static_cast<std::size_t>(groups * kStride<kBits>));
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t i = 0; i < kStride<kBits>; ++i) {
        padded[static_cast<std::size_t>(g * kStride<kBits> + i)] =
            levels.values[g * levels.count() + i % levels.count()];
      }
    }
    if (groups == 1) {
      using Chunks = LevelChunks<kBits>;
      return std::make_unique<ChunkReader<Chunks>>(rows, dim,
                                                   Chunks{std::move(packed), std::move(padded)});
    }
    using Chunks = GroupLevelChunks<kBits>;
    return std::make_unique<ChunkReader<Chunks>>(
        rows, dim,
        Chunks{std::move(packed), std::move(padded),
               codes::ColumnGroups(dim, levels.group, kStride<kBits>)});
  });
}

}  // namespace emcomp::readers
