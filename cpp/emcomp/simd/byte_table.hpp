// Looking up a table of 128 bytes that lies in registers, a whole vector of indices at a time.
#pragma once

#include "emcomp/simd/lanes.hpp"

#if defined(__AVX2__)

namespace emcomp::simd {

typedef std::int8_t Bytes __attribute__((vector_size(kLanes * 4)));

// Whether the processor has what the functions below take: AVX-512 VBMI at that level. Its
// instructions are written as assembly, as they stand among code for any processor with AVX-512.
bool has_byte_permutes();

#if defined(EMCOMP_SIMD_512)

// Byte i is byte index[i] % 128 of two vectors.
inline Bytes select_bytes(Bytes first, Bytes second, Bytes index) {
  asm("vpermi2b %2, %1, %0" : "+v"(index) : "v"(first), "v"(second));
  return index;
}

// Byte i is bits [at[i], at[i] + 8) of the 8 bytes that it lies in.
inline Bytes select_bits(Bytes words, Bytes at) {
  Bytes bytes;
  asm("vpmultishiftqb %2, %1, %0" : "=v"(bytes) : "v"(at), "v"(words));
  return bytes;
}

class ByteTable {
 public:
  static constexpr std::size_t kSize = 128;

  ByteTable() = default;
  explicit ByteTable(const std::array<std::int8_t, kSize>& bytes) {
    std::memcpy(halves_.data(), bytes.data(), kSize);
  }

  // Entries of indices from 0 to 127.
  Bytes lookup(Bytes index) const {
    return select_bytes(reinterpret_cast<Bytes>(halves_[0]), reinterpret_cast<Bytes>(halves_[1]),
                        index);
  }

 private:
  std::array<Ints, 2> halves_;
};

#else

// Within each half, byte i is byte index[i] % 16, or zero where index[i] is negative.
inline Bytes shuffle(Bytes bytes, Bytes index) {
  return reinterpret_cast<Bytes>(
      _mm256_shuffle_epi8(reinterpret_cast<__m256i>(bytes), reinterpret_cast<__m256i>(index)));
}

class ByteTable {
 public:
  static constexpr std::size_t kSize = 128;

  ByteTable() = default;
  explicit ByteTable(const std::array<std::int8_t, kSize>& bytes) {
    for (std::size_t part = 0; part < kParts; ++part) {
      std::array<std::int8_t, 32> twice;
      std::memcpy(twice.data(), bytes.data() + part * 16, 16);
      std::memcpy(twice.data() + 16, bytes.data() + part * 16, 16);
      std::memcpy(&parts_[part], twice.data(), 32);
    }
  }

  // Entries of indices from 0 to 127: looked up in all parts, then chosen by the upper bits.
  Bytes lookup(Bytes index) const {
    const __m256i bits = reinterpret_cast<__m256i>(index);
    const auto choose = [](__m256i clear, __m256i set, __m256i top_bit) {
      return _mm256_blendv_epi8(clear, set, top_bit);
    };
    const auto part = [&](std::size_t number) {
      return reinterpret_cast<__m256i>(shuffle(reinterpret_cast<Bytes>(parts_[number]), index));
    };
    const __m256i fifth = _mm256_slli_epi16(bits, 3);
    const __m256i sixth = _mm256_slli_epi16(bits, 2);
    const __m256i seventh = _mm256_slli_epi16(bits, 1);
    const auto quarter = [&](std::size_t number) {
      return choose(part(2 * number), part(2 * number + 1), fifth);
    };
    return reinterpret_cast<Bytes>(choose(choose(quarter(0), quarter(1), sixth),
                                          choose(quarter(2), quarter(3), sixth), seventh));
  }

 private:
  static constexpr std::size_t kParts = 8;
  std::array<Ints, kParts> parts_;
};

#endif

// Bytes as integers, kLanes in a vector.
inline std::array<Ints, 4> widened(Bytes bytes) {
#if defined(EMCOMP_SIMD_512)
  const __m512i all = reinterpret_cast<__m512i>(bytes);
  const auto quarter = [](__m128i some) {
    return reinterpret_cast<Ints>(_mm512_cvtepi8_epi32(some));
  };
  return {quarter(_mm512_castsi512_si128(all)), quarter(_mm512_extracti32x4_epi32(all, 1)),
          quarter(_mm512_extracti32x4_epi32(all, 2)), quarter(_mm512_extracti32x4_epi32(all, 3))};
#else
  const __m256i all = reinterpret_cast<__m256i>(bytes);
  const auto quarter = [](__m128i some) {
    return reinterpret_cast<Ints>(_mm256_cvtepi8_epi32(some));
  };
  const __m128i low = _mm256_castsi256_si128(all);
  const __m128i high = _mm256_extracti128_si256(all, 1);
  return {quarter(low), quarter(_mm_srli_si128(low, 8)), quarter(high),
          quarter(_mm_srli_si128(high, 8))};
#endif
}

}  // namespace emcomp::simd

#endif
