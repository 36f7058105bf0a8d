// Looking up a table of 256 bytes that lies in registers, for processors with AVX-512 VBMI. The
// instructions are written as assembly, so that they can stand among code for any processor with
// AVX-512: whoever runs them asks has_byte_permutes() first.
#pragma once

#include "emcomp/simd/lanes.hpp"

#if defined(EMCOMP_SIMD_512)

namespace emcomp::simd {

bool has_byte_permutes();

// bytes[i] = bits [at[i], at[i] + 8) of the half of `words` that i is in.
inline __m128i select_bits(__m128i words, __m128i at) {
  __m128i bytes;
  asm("vpmultishiftqb %2, %1, %0" : "=v"(bytes) : "v"(at), "v"(words));
  return bytes;
}

// table[index % 128] for each byte, from two halves of 64.
inline __m512i lookup_half(__m512i low, __m512i high, __m512i index) {
  asm("vpermi2b %2, %1, %0" : "+v"(index) : "v"(low), "v"(high));
  return index;
}

struct ByteTable {
  std::array<Ints, 4> quarters;

  // table[index] for 16 bytes.
  __m128i lookup(__m128i index) const {
    const __m512i wide = _mm512_castsi128_si512(index);
    const auto half = [&](Ints first, Ints second) {
      return _mm512_castsi512_si128(
          lookup_half(reinterpret_cast<__m512i>(first), reinterpret_cast<__m512i>(second), wide));
    };
    const __m128i low = half(quarters[0], quarters[1]);
    const __m128i high = half(quarters[2], quarters[3]);
    return _mm_mask_blend_epi8(_mm_movepi8_mask(index), low, high);
  }
};

}  // namespace emcomp::simd

#endif
