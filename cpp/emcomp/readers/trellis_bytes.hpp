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
  std::uint64_t own = 0;  // bytes that are read from there on, and from the row's start
  std::uint64_t again = 0;
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
                                   const codes::TrellisLayout& layout,
                                   const std::vector<ChunkWindows>& windows);

// The first halves of the tables of columns of 1 to 4 bits.
std::vector<simd::ByteTable> byte_tables(const codes::TrellisCode& code);

template <class Array>
inline simd::Bytes load_bytes(const Array& from) {
  simd::Bytes bytes;
  std::memcpy(&bytes, from.data(), sizeof bytes);
  return bytes;
}

// Only what is needed is read: a vector may reach into cache lines that nobody has asked for.
#if defined(EMCOMP_SIMD_512)
inline simd::Bytes read_bytes(const std::uint8_t* from, std::uint64_t which) {
  return reinterpret_cast<simd::Bytes>(_mm512_maskz_loadu_epi8(which, from));
}
#else
// Groups 0 and 2, or 1 and 3, of a block.
inline simd::Bytes read_groups(const std::uint8_t* first, const std::uint8_t* second) {
  const auto read = [](const std::uint8_t* from) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  };
  return reinterpret_cast<simd::Bytes>(_mm256_set_m128i(read(second), read(first)));
}

// Windows of 16 columns, as 16 bits each, from the bytes of their groups.
inline __m256i wide_windows(simd::Bytes bytes, simd::Bytes shuffle, simd::Bytes multiplier) {
  const simd::Bytes pairs = simd::shuffle(bytes, shuffle);
  const __m256i product =
      _mm256_mullo_epi16(reinterpret_cast<__m256i>(pairs), reinterpret_cast<__m256i>(multiplier));
  return _mm256_srli_epi16(product, 8);
}
#endif

// Where windows are in halves of tables: the second half is the first one backwards, negated.
struct HalfPlaces {
  simd::Bytes sign;
  simd::Bytes index;

  explicit HalfPlaces(simd::Bytes windows) : sign(windows < 0), index(windows ^ sign) {}

  std::array<simd::Ints, kChunksOfBlock> values(simd::Bytes found) const {
    return simd::widened((found ^ sign) - sign);
  }
};

// Reads 16 bytes from the row's start where the block wraps.
inline std::array<simd::Ints, kChunksOfBlock> byte_values(const std::uint8_t* codes,
                                                          const ByteBlock& block,
                                                          const simd::ByteTable* tables) {
  using simd::Bytes;
#if defined(EMCOMP_SIMD_512)
  const Bytes own = read_bytes(codes + block.first_byte, block.own);
  const Bytes start = block.wraps ? read_bytes(codes, block.again) : own;
  const Bytes words = simd::select_bytes(own, start, load_bytes(block.bytes));
  const Bytes windows = simd::select_bits(words, load_bytes(block.at));
#else
  const auto half = [&](std::size_t number) {
    Bytes bytes =
        read_groups(codes + block.first_byte[number], codes + block.first_byte[number + 2]);
    if (block.wraps) [[unlikely]] {
      const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
      const Bytes start = reinterpret_cast<Bytes>(_mm256_broadcastsi128_si256(first));
      bytes = (bytes & load_bytes(block.own[number])) |
              simd::shuffle(start, load_bytes(block.again[number]));
    }
    return wide_windows(bytes, load_bytes(block.shuffle[number]),
                        load_bytes(block.multiplier[number]));
  };
  const Bytes windows = reinterpret_cast<Bytes>(_mm256_packus_epi16(half(0), half(1)));
#endif
  const HalfPlaces places(windows ^ load_bytes(block.flip));
  Bytes values = tables[block.table[0]].lookup(places.index);
  for (std::size_t number = 1; number < block.tables; ++number) {
    const Bytes other = tables[block.table[number]].lookup(places.index);
#if defined(EMCOMP_SIMD_512)
    values = reinterpret_cast<Bytes>(_mm512_mask_blend_epi8(block.columns[number],
                                                            reinterpret_cast<__m512i>(values),
                                                            reinterpret_cast<__m512i>(other)));
#else
    values = reinterpret_cast<Bytes>(
        _mm256_blendv_epi8(reinterpret_cast<__m256i>(values), reinterpret_cast<__m256i>(other),
                           reinterpret_cast<__m256i>(load_bytes(block.columns[number]))));
#endif
  }
  return places.values(values);
}

// Blocks of columns that all have the same width and do not wrap: what the same function does with
// these is the same for all blocks, and stays in registers.
class EvenBlocks {
 public:
  EvenBlocks(int width, const simd::ByteTable& table) : width_(width), table_(table) {
    constexpr auto kColumns = static_cast<std::size_t>(kBlockColumns);
#if defined(EMCOMP_SIMD_512)
    std::array<std::int8_t, kColumns> bytes;
    std::array<std::int8_t, kColumns> at;
    for (std::size_t c = 0; c < kColumns; ++c) {
      bytes[c] = static_cast<std::int8_t>(c / 8 * static_cast<std::size_t>(width) + c % 8);
      at[c] = static_cast<std::int8_t>(c % 8 * static_cast<std::size_t>(width));
    }
    which_ = (std::uint64_t{2} << (kBlockColumns / 8 * width)) - 1;
    bytes_ = load_bytes(bytes);
    at_ = load_bytes(at);
#else
    std::array<std::int8_t, kColumns> shuffle;
    std::array<std::uint16_t, kColumns / 2> multiplier;
    for (std::size_t c = 0; c < kColumns / 2; ++c) {
      const std::size_t bit = c % 8 * static_cast<std::size_t>(width);
      shuffle[2 * c] = static_cast<std::int8_t>(bit / 8);
      shuffle[2 * c + 1] = static_cast<std::int8_t>(bit / 8 + 1);
      multiplier[c] = static_cast<std::uint16_t>(1 << (8 - bit % 8));
    }
    shuffle_ = load_bytes(shuffle);
    multiplier_ = load_bytes(multiplier);
#endif
  }

  [[gnu::always_inline]] std::array<simd::Ints, kChunksOfBlock> values(const std::uint8_t* codes,
                                                                       std::int64_t block) const {
    using simd::Bytes;
    const std::uint8_t* from = codes + block * (kBlockColumns / 8) * width_;
#if defined(EMCOMP_SIMD_512)
    const Bytes bytes = read_bytes(from, which_);
    const Bytes windows = simd::select_bits(simd::select_bytes(bytes, bytes, bytes_), at_);
#else
    const auto half = [&](std::int64_t number) {
      const Bytes bytes = read_groups(from + number * width_, from + (number + 2) * width_);
      return wide_windows(bytes, shuffle_, multiplier_);
    };
    const Bytes windows = reinterpret_cast<Bytes>(_mm256_packus_epi16(half(0), half(1)));
#endif
    const HalfPlaces places(windows);
    return places.values(table_.lookup(places.index));
  }

 private:
  std::int64_t width_;
  simd::ByteTable table_;
#if defined(EMCOMP_SIMD_512)
  std::uint64_t which_;
  simd::Bytes bytes_;
  simd::Bytes at_;
#else
  simd::Bytes shuffle_;
  simd::Bytes multiplier_;
#endif
};

}  // namespace emcomp::readers

#endif
