// Moving the lanes of a vector, and narrowing them to bytes.
#pragma once

#include <utility>

#include "emcomp/simd/lanes.hpp"

namespace emcomp::simd {

// 0, 1, ... kLanes - 1.
inline Ints lane_index() {
  Ints index{};
  for (int lane = 0; lane < kLanes; ++lane) index[lane] = lane;
  return index;
}

// values[index % kLanes] for each lane.
inline Floats permute(Floats values, Ints index) {
#if defined(EMCOMP_SIMD_512)
  return reinterpret_cast<Floats>(
      _mm512_permutexvar_ps(reinterpret_cast<__m512i>(index), reinterpret_cast<__m512>(values)));
#elif defined(__AVX2__)
  return reinterpret_cast<Floats>(
      _mm256_permutevar8x32_ps(reinterpret_cast<__m256>(values), reinterpret_cast<__m256i>(index)));
#else
  Floats moved;
  for (int lane = 0; lane < kLanes; ++lane) moved[lane] = values[index[lane] % kLanes];
  return moved;
#endif
}

// Each lane 2^kBits times, of which vector kPart is returned: lane (kPart * kLanes + i) >> kBits.
template <int kBits, std::size_t kPart>
inline Floats spread(Floats values) {
#if defined(__AVX2__)
  Ints index;
  for (int lane = 0; lane < kLanes; ++lane) {
    index[lane] = (static_cast<int>(kPart) * kLanes + lane) >> kBits;
  }
  return permute(values, index);
#else
  Floats moved;
  for (int lane = 0; lane < kLanes; ++lane) {
    moved[lane] = values[(static_cast<int>(kPart) * kLanes + lane) >> kBits];
  }
  return moved;
#endif
}

// The lowest byte of each lane, kLanes bytes.
inline void store_bytes(std::uint8_t* to, Ints values) {
#if defined(EMCOMP_SIMD_512)
  const __m128i narrow = _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(values));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrow);
#elif defined(__AVX2__)
  const __m256i wide = reinterpret_cast<__m256i>(values);
  const __m128i half =
      _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(half, half));
#else
  for (int lane = 0; lane < kLanes; ++lane) to[lane] = static_cast<std::uint8_t>(values[lane]);
#endif
}

// Calls function(std::integral_constant<std::size_t, i>()) for i in [0, kCount).
template <std::size_t kCount, class Function>
inline void for_each_index(Function&& function) {
  [&]<std::size_t... kIndices>(std::index_sequence<kIndices...>) {
    (function(std::integral_constant<std::size_t, kIndices>()), ...);
  }(std::make_index_sequence<kCount>());
}

}  // namespace emcomp::simd
