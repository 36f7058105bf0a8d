// Looking up small tables of floats with vectors of indices: in registers as far as they go.
#pragma once

#include "emcomp/simd/lanes.hpp"

namespace emcomp::simd {

// table[index] for each lane.
inline Floats gather(const float* table, Ints index) {
#if defined(EMCOMP_SIMD_512)
  return reinterpret_cast<Floats>(
      _mm512_i32gather_ps(reinterpret_cast<__m512i>(index), table, sizeof(float)));
#elif defined(__AVX2__)
  return reinterpret_cast<Floats>(
      _mm256_i32gather_ps(table, reinterpret_cast<__m256i>(index), sizeof(float)));
#else
  Floats values;
  for (int lane = 0; lane < kLanes; ++lane) values[lane] = table[index[lane]];
  return values;
#endif
}

// table[index % 2^kBits] for each lane, from a table of 2^kBits floats. A table shorter than kLanes
// is repeated to fill that many.
template <int kBits>
[[gnu::always_inline]] inline Floats lookup(const float* table, Ints index) {
#if defined(EMCOMP_SIMD_512)
  const __m512i at = reinterpret_cast<__m512i>(index);
  if constexpr (kBits <= 4) {
    return reinterpret_cast<Floats>(_mm512_permutexvar_ps(at, _mm512_loadu_ps(table)));
  } else if constexpr (kBits == 5) {
    return reinterpret_cast<Floats>(
        _mm512_permutex2var_ps(_mm512_loadu_ps(table), at, _mm512_loadu_ps(table + kLanes)));
  } else {
    constexpr int kHalf = 1 << (kBits - 1);
    const __mmask16 upper = _mm512_test_epi32_mask(at, _mm512_set1_epi32(kHalf));
    return reinterpret_cast<Floats>(
        _mm512_mask_blend_ps(upper, reinterpret_cast<__m512>(lookup<kBits - 1>(table, index)),
                             reinterpret_cast<__m512>(lookup<kBits - 1>(table + kHalf, index))));
  }
#elif defined(__AVX2__)
  const __m256i at = reinterpret_cast<__m256i>(index);
  if constexpr (kBits <= 3) {
    return reinterpret_cast<Floats>(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), at));
  } else if constexpr (kBits <= 5) {
    constexpr int kHalf = 1 << (kBits - 1);
    return reinterpret_cast<Floats>(
        _mm256_blendv_ps(reinterpret_cast<__m256>(lookup<kBits - 1>(table, index)),
                         reinterpret_cast<__m256>(lookup<kBits - 1>(table + kHalf, index)),
                         _mm256_castsi256_ps(_mm256_slli_epi32(at, 32 - kBits))));
  } else {
    return gather(table, index & ((1 << kBits) - 1));
  }
#else
  return gather(table, index & ((1 << kBits) - 1));
#endif
}

}  // namespace emcomp::simd
