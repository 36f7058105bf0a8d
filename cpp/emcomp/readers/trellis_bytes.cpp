#include "emcomp/readers/trellis_bytes.hpp"

#if defined(EMCOMP_BYTE_WINDOWS)

#include <algorithm>

#include "emcomp/readers/stored_trellis.hpp"

namespace emcomp::readers {

namespace {

constexpr std::int64_t kLastBit = 56;  // a window that ends in a group's 8 bytes begins by then

// Where a column's window is, `bit` bits after the row's first, and whether it is read at all.
void place_window(ByteBlock& block, std::size_t column, std::int64_t bit, const ChunkWindows& chunk,
                  [[maybe_unused]] bool needed) {
  const std::size_t group = column / kTogether;
  const std::int64_t first = chunk.first_byte[group % kGroups];
  const std::int64_t at = std::min(bit - 8 * first, kLastBit);
#if defined(EMCOMP_SIMD_512)
  block.at[column] = static_cast<std::uint8_t>(at);
  const std::size_t byte = column % kTogether;
  const bool own = chunk.own[group % kGroups][byte] != 0;
  const std::int64_t from = own ? first - block.first_byte + static_cast<std::int64_t>(byte)
                                : chunk.again[group % kGroups][byte] & 0x3f;
  block.bytes[column] = static_cast<std::uint8_t>(own ? from : from + 64);
  if (!needed) return;
  for (std::int64_t b = at / 8; b <= (at + 7) / 8; ++b) {
    const bool is_own = chunk.own[group % kGroups][static_cast<std::size_t>(b)] != 0;
    const std::int64_t place =
        is_own ? first - block.first_byte + b
               : chunk.again[group % kGroups][static_cast<std::size_t>(b)] & 0x3f;
    if (place < 64) (is_own ? block.own : block.again) |= std::uint64_t{1} << place;
  }
#else
  const std::size_t half = group % 2;
  const std::size_t place = group / 2 * kTogether + column % kTogether;
  block.shuffle[half][2 * place] = static_cast<std::uint8_t>(at / 8);
  block.shuffle[half][2 * place + 1] = static_cast<std::uint8_t>(at / 8 + 1);
  block.multiplier[half][place] = static_cast<std::uint16_t>(1 << (8 - at % 8));
  const std::size_t lane = group / 2 * kWindowBytes;
  std::copy_n(chunk.own[0].begin(), kWindowBytes, block.own[half].begin() + lane);
  std::copy_n(chunk.again[0].begin(), kWindowBytes, block.again[half].begin() + lane);
  block.first_byte[group] = chunk.first_byte[0];
#endif
}

// Notes which table a column has.
void place_table(ByteBlock& block, std::size_t column, std::uint8_t table) {
  const auto known = std::find(block.table.begin(), block.table.begin() + block.tables, table);
  const auto number = static_cast<std::size_t>(known - block.table.begin());
  if (number == block.tables) block.table[block.tables++] = table;
#if defined(EMCOMP_SIMD_512)
  block.columns[number] |= std::uint64_t{1} << column;
#else
  block.columns[number][column] = 0xff;
#endif
}

}  // namespace

std::vector<ByteBlock> byte_blocks(const codes::TrellisCode& code,
                                   const codes::TrellisLayout& layout,
                                   const std::vector<ChunkWindows>& windows) {
  std::vector<ByteBlock> blocks(windows.size() / kChunksOfBlock);
  if (code.window != 8 || !simd::has_byte_permutes()) return blocks;
  std::int64_t bit = 0;
  for (std::size_t index = 0; index < blocks.size(); ++index) {
    ByteBlock& block = blocks[index];
    block.usable = true;
    block.flip.fill(0);
    block.table.fill(0);
    block.columns = {};
#if defined(EMCOMP_SIMD_512)
    block.first_byte = windows[index * kChunksOfBlock].first_byte[0];
#endif
    for (std::size_t lane = 0; lane < kBlockColumns; ++lane) {
      const ChunkWindows& chunk = windows[index * kChunksOfBlock + lane / simd::kLanes];
      const std::size_t column = index * kBlockColumns + lane;
      block.wraps |= chunk.wraps;
      place_window(block, lane, bit, chunk, column < layout.widths.size());
      if (column >= layout.widths.size()) continue;
      const int width = layout.widths[column];
      const auto table = static_cast<std::uint8_t>(std::max(width, 1) - 1);
      block.usable &= table < kByteTables;
      if (table < kByteTables) place_table(block, lane, table);
      block.flip[lane] =
          static_cast<std::uint8_t>(layout.flip(static_cast<std::int64_t>(column), code.states()));
      bit += width;
    }
  }
  return blocks;
}

std::vector<simd::ByteTable> byte_tables(const codes::TrellisCode& code) {
  std::vector<simd::ByteTable> tables(kByteTables);
  if (code.window != 8) return tables;
  for (int width = 1; width <= kByteTables; ++width) {
    std::array<std::int8_t, simd::ByteTable::kSize> bytes;
    std::transform(code.table(width), code.table(width) + bytes.size(), bytes.begin(),
                   [](float value) { return static_cast<std::int8_t>(value); });
    tables[static_cast<std::size_t>(width) - 1] = simd::ByteTable(bytes);
  }
  return tables;
}

}  // namespace emcomp::readers

#endif
