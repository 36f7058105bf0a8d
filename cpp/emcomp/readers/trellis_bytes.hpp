// Windows of 8 bits, and their values from tables of bytes that lie in registers, for processors
// with AVX-512 VBMI: no table is read from memory.
#pragma once

#include "emcomp/readers/trellis_windows.hpp"
#include "emcomp/simd/byte_table.hpp"

#if defined(EMCOMP_SIMD_512)

namespace emcomp::readers {

// What the windows of kLanes columns are and which tables they are for, the same for all rows.
struct ChunkBytes {
  bool usable = false;  // at most two tables, of bytes both
  bool wraps = false;
  std::uint8_t table = 0;
  std::uint8_t other_table = 0;
  std::uint16_t others = 0;  // lanes of the other table
  std::array<std::int32_t, kGroups> first_byte;
  alignas(16) std::array<std::uint8_t, simd::kLanes> at;  // bits after a group's first byte
  alignas(16) std::array<std::uint8_t, simd::kLanes> flip;
  alignas(16) std::array<std::uint8_t, simd::kLanes> own;  // as in ChunkWindows, 8 of each group
  alignas(16) std::array<std::uint8_t, simd::kLanes> again;
};

std::vector<ChunkBytes> chunk_bytes(const codes::TrellisCode& code,
                                    const std::vector<ChunkWindows>& windows);

// The first halves of the tables of columns of 1 to 4 bits.
std::vector<simd::HalfByteTable> byte_tables(const codes::TrellisCode& code);

inline simd::Ints byte_values(const std::uint8_t* codes, const ChunkBytes& chunk,
                              const simd::HalfByteTable* tables) {
  const auto load = [](const auto& bytes) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes.data()));
  };
  const auto half = [&](std::size_t group) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + chunk.first_byte[group]));
  };
  __m128i words = _mm_unpacklo_epi64(half(0), half(1));
  if (chunk.wraps) [[unlikely]] {
    const __m128i start = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    words = _mm_or_si128(_mm_and_si128(words, load(chunk.own)),
                         _mm_shuffle_epi8(start, load(chunk.again)));
  }
  const __m128i windows = _mm_xor_si128(simd::select_bits(words, load(chunk.at)), load(chunk.flip));
  // The other half of a table is the first one backwards, negated.
  const __m128i sign = _mm_cmpgt_epi8(_mm_setzero_si128(), windows);
  const __m128i index = _mm_xor_si128(windows, sign);
  __m128i values = tables[chunk.table].lookup(index);
  if (chunk.others != 0) {
    values = _mm_mask_blend_epi8(chunk.others, values, tables[chunk.other_table].lookup(index));
  }
  values = _mm_sub_epi8(_mm_xor_si128(values, sign), sign);
  return reinterpret_cast<simd::Ints>(_mm512_cvtepi8_epi32(values));
}

}  // namespace emcomp::readers

#endif
