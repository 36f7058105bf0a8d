// Windows of 8 bits, and their values from tables of bytes that lie in registers: four chunks of
// columns at a time, without reading a table from memory. For processors with AVX2 or, at the level
// of AVX-512, VBMI; others gather from tables in memory.
#pragma once

#include "emcomp/readers/trellis_windows.hpp"
#include "emcomp/simd/byte_table.hpp"

#if defined(__AVX2__)
#define EMCOMP_BYTE_WINDOWS 1

namespace emcomp::readers {

inline constexpr int kBlockColumns = kChunksOfBlock * simd::kLanes;

// What the windows of a block of columns are and which tables they are for, the same for all rows.
struct ByteBlock {
  bool usable = false;  // all tables are of bytes
  bool wraps = false;   // from the row's end to its start
  std::uint8_t tables = 0;
  std::array<std::uint8_t, 4> table;  // which ones, of the first `tables`
#if defined(EMCOMP_SIMD_512)
  std::int32_t first_byte = 0;
  std::array<std::uint64_t, 4> columns;  // of each table
  // For each column, which byte of its group's 8 is where: after first_byte, or, from 64 on, in
  // the row.
  alignas(64) std::array<std::uint8_t, kBlockColumns> bytes;
  alignas(64) std::array<std::uint8_t, kBlockColumns> at;  // bits after a group's first
#else
  std::array<std::int32_t, kBlockColumns / kTogether> first_byte;
  alignas(32) std::array<std::array<std::uint8_t, kBlockColumns>, 4> columns;  // of each table
  // Of groups 0, 2 and 1, 3: bytes to 16 bits for each column, and what brings a window into the
  // upper half of these.
  alignas(32) std::array<std::array<std::uint8_t, 2 * kWindowBytes>, 2> shuffle;
  alignas(32) std::array<std::array<std::uint16_t, kWindowBytes>, 2> multiplier;
  alignas(32) std::array<std::array<std::uint8_t, 2 * kWindowBytes>, 2> own;
  alignas(32) std::array<std::array<std::uint8_t, 2 * kWindowBytes>, 2> again;
#endif
  alignas(64) std::array<std::uint8_t, kBlockColumns> flip;
};

std::vector<ByteBlock> byte_blocks(const codes::TrellisCode& code,
                                   const std::vector<ChunkWindows>& windows);

// The first halves of the tables of columns of 1 to 4 bits.
std::vector<simd::ByteTable> byte_tables(const codes::TrellisCode& code);

// Reads a vector of bytes from the first ones of the block, and from the row's start.
inline std::array<simd::Ints, kChunksOfBlock> byte_values(const std::uint8_t* codes,
                                                          const ByteBlock& block,
                                                          const simd::ByteTable* tables) {
  using simd::Bytes;
  const auto load = [](const auto& from) {
    Bytes bytes;
    std::memcpy(&bytes, from.data(), sizeof bytes);
    return bytes;
  };
#if defined(EMCOMP_SIMD_512)
  const auto read = [&](std::int64_t from) {
    return reinterpret_cast<Bytes>(_mm512_loadu_si512(codes + from));
  };
  const Bytes words = simd::select_bytes(read(block.first_byte), read(0), load(block.bytes));
  const Bytes windows = simd::select_bits(words, load(block.at)) ^ load(block.flip);
#else
  const auto read = [&](std::size_t group) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + block.first_byte[group]));
  };
  const auto words = [&](std::size_t half) {
    Bytes bytes = reinterpret_cast<Bytes>(_mm256_set_m128i(read(half + 2), read(half)));
    if (block.wraps) [[unlikely]] {
      const __m128i start = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
      bytes = (bytes & load(block.own[half])) |
              simd::shuffle(reinterpret_cast<Bytes>(_mm256_broadcastsi128_si256(start)),
                            load(block.again[half]));
    }
    const Bytes pairs = simd::shuffle(bytes, load(block.shuffle[half]));
    const __m256i product = _mm256_mullo_epi16(
        reinterpret_cast<__m256i>(pairs), reinterpret_cast<__m256i>(load(block.multiplier[half])));
    return _mm256_srli_epi16(product, 8);
  };
  const Bytes windows =
      reinterpret_cast<Bytes>(_mm256_packus_epi16(words(0), words(1))) ^ load(block.flip);
#endif
  // The other half of a table is the first one backwards, negated.
  const Bytes sign = windows < 0;
  const Bytes index = windows ^ sign;
  Bytes values = tables[block.table[0]].lookup(index);
  for (std::size_t number = 1; number < block.tables; ++number) {
    const Bytes other = tables[block.table[number]].lookup(index);
#if defined(EMCOMP_SIMD_512)
    values = reinterpret_cast<Bytes>(_mm512_mask_blend_epi8(block.columns[number],
                                                            reinterpret_cast<__m512i>(values),
                                                            reinterpret_cast<__m512i>(other)));
#else
    values = reinterpret_cast<Bytes>(
        _mm256_blendv_epi8(reinterpret_cast<__m256i>(values), reinterpret_cast<__m256i>(other),
                           reinterpret_cast<__m256i>(load(block.columns[number]))));
#endif
  }
  return simd::widened((values ^ sign) - sign);
}

}  // namespace emcomp::readers

#endif
