// Looking up a table of 128 bytes that lies in registers, for processors with AVX-512 VBMI. The
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

// The first half of a table of 256 bytes.
struct HalfByteTable {
  std::array<Ints, 2> quarters;

  // table[index] for 16 bytes below 128.
  __m128i lookup(__m128i index) const {
    return _mm512_castsi512_si128(lookup_half(reinterpret_cast<__m512i>(quarters[0]),
                                              reinterpret_cast<__m512i>(quarters[1]),
                                              _mm512_castsi128_si512(index)));
  }
};

}  // namespace emcomp::simd

#endif
