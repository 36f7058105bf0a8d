#include "emcomp/readers/trellis_windows.hpp"

namespace emcomp::readers {

namespace {

using simd::kLanes;

// Bytes of a window: 12 bits that begin anywhere in a byte.
constexpr std::int64_t kBytesOfWindow = 3;

}  // namespace

std::vector<ChunkWindows> chunk_windows(const codes::TrellisCode& code,
                                        const codes::TrellisLayout& layout) {
  const std::int64_t code_bytes = std::max<std::int64_t>(layout.code_bits() / 8, 1);
  const std::int64_t dim = code.dim();
  constexpr std::int64_t kColumns = kChunksOfBlock * kLanes;
  const std::int64_t blocks = (dim + kColumns - 1) / kColumns;
  std::vector<ChunkWindows> chunks(static_cast<std::size_t>(blocks * kChunksOfBlock));
  std::int64_t bit = 0;
  for (std::size_t index = 0; index < chunks.size(); ++index) {
    ChunkWindows& chunk = chunks[index];
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto at = static_cast<std::size_t>(lane);
      const auto group = static_cast<std::size_t>(lane / kTogether);
      const std::int64_t column = static_cast<std::int64_t>(index) * kLanes + lane;
      // Where a row ends on a group's edge, what follows is read from its start.
      if (lane % kTogether == 0) {
        chunk.first_byte[group] = static_cast<std::int32_t>(std::min(bit / 8, code_bytes - 1));
      }
      const std::int64_t first = bit / 8 - chunk.first_byte[group];
      for (std::int64_t byte = 0; byte < 4; ++byte) {
        const bool read = byte < kBytesOfWindow && first + byte < kWindowBytes;
        chunk.shuffle[at * 4 + static_cast<std::size_t>(byte)] =
            read ? static_cast<std::uint8_t>(first + byte) : 0x80;
      }
      chunk.shift[at] = static_cast<std::int32_t>(bit % 8);
      chunk.change[at] = 0;
      if (column < dim) {
        const int width = layout.widths[static_cast<std::size_t>(column)];
        const auto table = static_cast<std::int32_t>(code.table(width) - code.tables.data());
        chunk.change[at] = table + static_cast<std::int32_t>(layout.flip(column, code.states()));
        chunk.wraps |= bit + code.window > code_bytes * 8;
        bit += width;
      }
    }
    for (std::size_t group = 0; group < kGroups; ++group) {
      for (std::int64_t i = 0; i < kWindowBytes; ++i) {
        const std::int64_t byte = chunk.first_byte[group] + i;
        const bool own = byte < code_bytes;
        const std::int64_t again = (byte - code_bytes) % code_bytes;
        const auto at = static_cast<std::size_t>(i);
        chunk.own[group][at] = own ? 0xff : 0;
        chunk.again[group][at] =
            own || again >= kWindowBytes ? 0x80 : static_cast<std::uint8_t>(again);
      }
    }
  }
  return chunks;
}

}  // namespace emcomp::readers
