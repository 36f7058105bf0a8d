// The windows of a chunk of columns, cut out of a row's circular string of bits.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "emcomp/codes/trellis_code.hpp"
#include "emcomp/simd/lanes.hpp"

namespace emcomp::readers {

// Bytes that are read at once, from the first one of the windows of kTogether columns on: columns
// have at most 8 bits, so that these have all of their bits.
inline constexpr std::int64_t kWindowBytes = 16;
inline constexpr int kTogether = 8;
inline constexpr int kGroups = simd::kLanes / kTogether;

// Chunks that are decoded together.
inline constexpr std::int64_t kChunksOfBlock = 4;

// Where the windows of kLanes columns are, the same for all rows.
struct ChunkWindows {
  alignas(64) std::array<std::uint8_t, simd::kLanes * 4> shuffle;  // bytes of a group to lanes
  // Where it wraps: bytes that are a group's own, and from where in the row the others come.
  alignas(16) std::array<std::array<std::uint8_t, kWindowBytes>, kGroups> own;
  alignas(16) std::array<std::array<std::uint8_t, kWindowBytes>, kGroups> again;
  alignas(64) std::array<std::int32_t, simd::kLanes> shift;
  std::array<std::int32_t, kGroups> first_byte;
  bool wraps = false;                                         // from the row's end to its start
  alignas(64) std::array<std::int32_t, simd::kLanes> change;  // flipped bits, and the table
};

// Of all chunks of the rows of a class, in whole blocks.
std::vector<ChunkWindows> chunk_windows(const codes::TrellisCode& code,
                                        const codes::TrellisLayout& layout);

// The places in the tables of the windows of a chunk; reads kWindowBytes from each group's first.
inline simd::Ints table_places(const std::uint8_t* codes, const ChunkWindows& chunk, int window) {
  using simd::Ints;
#if defined(__AVX2__)
  const auto group = [&](int g) {
    const auto at = static_cast<std::size_t>(g);
    const auto* from = reinterpret_cast<const __m128i*>(codes + chunk.first_byte[at]);
    const __m128i bytes = _mm_loadu_si128(from);
    if (!chunk.wraps) [[likely]]
      return bytes;
    const auto load = [](const auto& mask) {
      return _mm_load_si128(reinterpret_cast<const __m128i*>(mask.data()));
    };
    const __m128i start = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    return _mm_or_si128(_mm_and_si128(bytes, load(chunk.own[at])),
                        _mm_shuffle_epi8(start, load(chunk.again[at])));
  };
#if defined(EMCOMP_SIMD_512)
  const __m512i bytes =
      _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_broadcastsi128_si256(group(0))),
                         _mm256_broadcastsi128_si256(group(1)), 1);
  const __m512i spread = _mm512_shuffle_epi8(bytes, _mm512_load_si512(chunk.shuffle.data()));
  const Ints shifted =
      reinterpret_cast<Ints>(_mm512_srlv_epi32(spread, _mm512_load_si512(chunk.shift.data())));
#else
  const __m256i spread = _mm256_shuffle_epi8(
      _mm256_broadcastsi128_si256(group(0)),
      _mm256_load_si256(reinterpret_cast<const __m256i*>(chunk.shuffle.data())));
  const Ints shifted = reinterpret_cast<Ints>(_mm256_srlv_epi32(
      spread, _mm256_load_si256(reinterpret_cast<const __m256i*>(chunk.shift.data()))));
#endif
#else
  std::array<std::uint8_t, kWindowBytes> bytes;
  std::memcpy(bytes.data(), codes + chunk.first_byte[0], kWindowBytes);
  if (chunk.wraps) {
    for (std::size_t i = 0; i < kWindowBytes; ++i) {
      if (chunk.own[0][i] == 0) bytes[i] = codes[chunk.again[0][i] & 15];
    }
  }
  Ints shifted;
  for (int lane = 0; lane < simd::kLanes; ++lane) {
    std::uint32_t word;
    std::memcpy(&word, bytes.data() + chunk.shuffle[static_cast<std::size_t>(lane) * 4],
                sizeof word);
    shifted[lane] = static_cast<std::int32_t>(word >> chunk.shift[static_cast<std::size_t>(lane)]);
  }
#endif
  Ints change;
  std::memcpy(&change, chunk.change.data(), sizeof change);
  return (shifted & ((1 << window) - 1)) ^ change;
}

}  // namespace emcomp::readers
