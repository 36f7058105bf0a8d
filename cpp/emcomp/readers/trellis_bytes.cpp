#include "emcomp/readers/trellis_bytes.hpp"

#if defined(EMCOMP_SIMD_512)

#include <algorithm>

#include "emcomp/readers/stored_trellis.hpp"

namespace emcomp::readers {

std::vector<ChunkBytes> chunk_bytes(const codes::TrellisCode& code,
                                    const std::vector<ChunkWindows>& windows) {
  std::vector<ChunkBytes> chunks(windows.size());
  if (code.window != 8 || !simd::has_byte_permutes()) return chunks;
  std::int64_t bit = 0;
  for (std::size_t index = 0; index < chunks.size(); ++index) {
    ChunkBytes& chunk = chunks[index];
    const ChunkWindows& from = windows[index];
    chunk.wraps = from.wraps;
    chunk.first_byte = from.first_byte;
    chunk.usable = true;
    for (std::size_t lane = 0; lane < simd::kLanes; ++lane) {
      const std::size_t group = lane / kTogether;
      const std::size_t column = index * simd::kLanes + lane;
      const std::int64_t at = bit - 8 * from.first_byte[group];
      chunk.at[lane] = static_cast<std::uint8_t>(std::min<std::int64_t>(at, 56));
      chunk.own[lane] = from.own[group][lane % kTogether];
      chunk.again[lane] = from.again[group][lane % kTogether];
      chunk.flip[lane] = 0;
      if (column >= code.widths.size()) continue;
      const int width = code.widths[column];
      const auto table = static_cast<std::uint8_t>(std::max(width, 1) - 1);
      chunk.flip[lane] = static_cast<std::uint8_t>(code.flip(static_cast<std::int64_t>(column)));
      bit += width;
      if (lane == 0) chunk.table = table;
      if (table != chunk.table) {
        if (chunk.others == 0) chunk.other_table = table;
        chunk.others |= static_cast<std::uint16_t>(1u << lane);
      }
      chunk.usable &=
          at <= 56 && table < kByteTables && (table == chunk.table || table == chunk.other_table);
    }
  }
  return chunks;
}

std::vector<simd::HalfByteTable> byte_tables(const codes::TrellisCode& code) {
  std::vector<simd::HalfByteTable> tables(kByteTables);
  if (code.window != 8) return tables;
  for (int width = 1; width <= kByteTables; ++width) {
    std::array<std::int8_t, 128> bytes;
    std::transform(code.table(width), code.table(width) + bytes.size(), bytes.begin(),
                   [](float value) { return static_cast<std::int8_t>(value); });
    std::memcpy(&tables[static_cast<std::size_t>(width) - 1], bytes.data(), bytes.size());
  }
  return tables;
}

}  // namespace emcomp::readers

#endif
