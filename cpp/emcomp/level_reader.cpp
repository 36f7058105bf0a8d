#include <algorithm>
#include <vector>

#include "emcomp/bit_packing.hpp"
#include "emcomp/chunk_reader.hpp"
#include "emcomp/column_groups.hpp"
#include "emcomp/levels.hpp"
#include "emcomp/packed_rows.hpp"
#include "emcomp/simd_table.hpp"

namespace emcomp {

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
  PackedRows codes;
  std::vector<float> levels;

  using Row = const std::uint8_t*;
  Row row(std::int64_t index) const { return codes.row(index); }
  [[gnu::always_inline]] Floats chunk(Row row, std::int64_t index) const {
    return simd::lookup<kBits>(levels.data(),
                               simd::unpack_unmasked<kBits>(row + index * kChunkBytes<kBits>));
  }
  void prefetch(std::int64_t index) const { codes.prefetch(index); }
};

// Levels for each group of columns.
template <int kBits>
struct GroupLevelChunks {
  PackedRows codes;
  std::vector<float> levels;
  ColumnGroups groups;

  using Row = const std::uint8_t*;
  Row row(std::int64_t index) const { return codes.row(index); }
  [[gnu::always_inline]] Floats chunk(Row row, std::int64_t index) const {
    const Ints unpacked = simd::unpack<kBits>(row + index * kChunkBytes<kBits>);
    const std::int32_t common = groups.common(index);
    if (common >= 0) return simd::lookup<kBits>(levels.data() + common, unpacked);
    return simd::gather(levels.data(), groups.lanes(index) + unpacked);
  }
  void prefetch(std::int64_t index) const { codes.prefetch(index); }
};

}  // namespace

std::unique_ptr<RowReader> make_level_reader(const std::uint8_t* codes, std::int64_t rows,
                                             std::int64_t dim, const LevelTable& levels) {
  PackedRows packed(codes, rows, row_bytes(dim, levels.bits));
  return for_bits(levels.bits, [&](auto width) -> std::unique_ptr<RowReader> {
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
               ColumnGroups(dim, levels.group, kStride<kBits>)});
  });
}

}  // namespace emcomp
