// The vector of the instruction set this file is compiled for, and the few operations on it that
// the compiler does not write well by itself: unpacking codes, packing them, partial stores.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace emcomp::simd {

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#define EMCOMP_SIMD_512 1
inline constexpr int kLanes = 16;
#else
inline constexpr int kLanes = 8;
#endif

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));

// Bytes that unpacking one chunk of kLanes codes may read, wherever the chunk's own bytes end.
inline constexpr std::int64_t kReadBytes = kLanes;

template <int kBits>
inline constexpr std::int64_t kChunkBytes = kLanes * kBits / 8;

inline Floats load(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

// The first `count` floats, zeros after them.
inline Floats load_first(const float* from, std::int64_t count) {
  Floats values{};
  std::memcpy(&values, from, static_cast<std::size_t>(count) * sizeof(float));
  return values;
}

inline void store(float* to, Floats values) { std::memcpy(to, &values, sizeof values); }

inline void store_first(float* to, Floats values, std::int64_t count) {
#if defined(EMCOMP_SIMD_512)
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u),
                        reinterpret_cast<__m512>(values));
#else
  std::memcpy(to, &values, static_cast<std::size_t>(count) * sizeof(float));
#endif
}

// Copies bytes past the caches, whole lines at a time: large output is not read before it is
// written, and does not push out what is needed again. Ends with finish_streams().
inline void stream(std::byte* to, const std::byte* from, std::int64_t count) {
#if defined(__SSE2__)
  constexpr std::int64_t kLine = 64;
  const std::int64_t head = std::min(
      -static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to)) & (kLine - 1), count);
  std::memcpy(to, from, static_cast<std::size_t>(head));
  std::int64_t at = head;
  for (; at + kLine <= count; at += kLine) {
#if defined(EMCOMP_SIMD_512)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), _mm512_loadu_si512(from + at));
#else
    for (std::int64_t i = at; i < at + kLine; i += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
#endif
  }
  std::memcpy(to + at, from + at, static_cast<std::size_t>(count - at));
#else
  std::memcpy(to, from, static_cast<std::size_t>(count));
#endif
}

inline void finish_streams() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// Asks for a cache line. GCC takes a function that only prefetches for one without effect and drops
// its calls; the empty assembly keeps them.
inline void prefetch(const void* address) {
  __builtin_prefetch(address);
  asm volatile("" : : "r"(address));
}

inline Floats broadcast(float value) { return Floats{} + value; }

inline Floats to_floats(Ints values) { return __builtin_convertvector(values, Floats); }

// Towards zero.
inline Ints to_ints(Floats values) { return __builtin_convertvector(values, Ints); }

// To the nearest integer, ties to even, for |value| < 2^22.
inline Floats round_half_even(Floats values) {
  constexpr float kMagic = 0x1.8p23f;
  return (values + kMagic) - kMagic;
}

inline Floats minimum(Floats a, Floats b) {
#if defined(EMCOMP_SIMD_512)
  return reinterpret_cast<Floats>(
      _mm512_min_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Floats>(
      _mm256_min_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a < b ? a : b;
#endif
}

inline Floats maximum(Floats a, Floats b) {
#if defined(EMCOMP_SIMD_512)
  return reinterpret_cast<Floats>(
      _mm512_max_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Floats>(
      _mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a > b ? a : b;
#endif
}

namespace detail {

// Code j of a chunk starts at bit j * bits: the byte shuffle that brings its two bytes into lane j,
// and how far it is shifted there.
struct Unpacking {
  alignas(64) std::array<std::uint8_t, kLanes * 4> shuffle{};
  alignas(64) std::array<std::uint32_t, kLanes> shift{};
  constexpr explicit Unpacking(int bits) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const int first = lane * bits / 8;
      const int last = (lane * bits + bits - 1) / 8;
      shuffle[lane * 4] = static_cast<std::uint8_t>(first);
      shuffle[lane * 4 + 1] = last > first ? static_cast<std::uint8_t>(last) : 0x80;
      shuffle[lane * 4 + 2] = 0x80;
      shuffle[lane * 4 + 3] = 0x80;
      shift[lane] = static_cast<std::uint32_t>(lane * bits % 8);
    }
  }
};

template <int kBits>
inline constexpr Unpacking kUnpacking{kBits};

// The lowest kBits of every byte.
template <int kBits>
inline constexpr std::uint64_t kByteMask = 0x0101010101010101ull * ((1u << kBits) - 1u);

// A chunk's codes, each in the low bits of its lane below bits of the next codes.
[[gnu::always_inline]] inline Ints spread(const std::uint8_t* bytes, int bits,
                                          [[maybe_unused]] const Unpacking& constants) {
#if defined(EMCOMP_SIMD_512)
  static_cast<void>(bits);
  const __m512i chunk =
      _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  const __m512i lanes = _mm512_shuffle_epi8(chunk, _mm512_load_si512(constants.shuffle.data()));
  return reinterpret_cast<Ints>(
      _mm512_srlv_epi32(lanes, _mm512_load_si512(constants.shift.data())));
#elif defined(__AVX2__)
  static_cast<void>(bits);
  std::int64_t word;
  std::memcpy(&word, bytes, sizeof word);
  const __m256i lanes = _mm256_shuffle_epi8(
      _mm256_set1_epi64x(word),
      _mm256_load_si256(reinterpret_cast<const __m256i*>(constants.shuffle.data())));
  return reinterpret_cast<Ints>(_mm256_srlv_epi32(
      lanes, _mm256_load_si256(reinterpret_cast<const __m256i*>(constants.shift.data()))));
#else
  std::uint64_t word = 0;
  for (int i = 0; i < bits; ++i) word |= std::uint64_t{bytes[i]} << (8 * i);
  Ints codes;
  for (int lane = 0; lane < kLanes; ++lane) {
    codes[lane] = static_cast<std::int32_t>(word >> (lane * bits));
  }
  return codes;
#endif
}

}  // namespace detail

// kLanes codes of kBits each from kChunkBytes<kBits> bytes, each in the low bits of its lane below
// bits of the next codes; reads kReadBytes.
template <int kBits>
inline Ints unpack_unmasked(const std::uint8_t* bytes) {
  return detail::spread(bytes, kBits, detail::kUnpacking<kBits>);
}

// The codes themselves.
template <int kBits>
inline Ints unpack(const std::uint8_t* bytes) {
  return unpack_unmasked<kBits>(bytes) & ((1 << kBits) - 1);
}

// The same for a width that is known at run time: a little slower, and one loop for all widths.
class Unpacker {
 public:
  explicit Unpacker(int bits) : bits_(bits), constants_(bits) {}

  // The codes of a chunk of a row.
  [[gnu::always_inline]] Ints operator()(const std::uint8_t* row, std::int64_t chunk) const {
    return detail::spread(row + chunk * bits_ * kLanes / 8, bits_, constants_) & ((1 << bits_) - 1);
  }

 private:
  int bits_;
  detail::Unpacking constants_;
};

// Packs kLanes codes into kChunkBytes<kBits> bytes; writes up to 8 bytes past them.
template <int kBits>
inline void pack(Ints codes, std::uint8_t* bytes) {
#if defined(EMCOMP_SIMD_512)
  const __m128i narrow = _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(codes));
  const std::uint64_t low = _pext_u64(_mm_extract_epi64(narrow, 0), detail::kByteMask<kBits>);
  const std::uint64_t high = _pext_u64(_mm_extract_epi64(narrow, 1), detail::kByteMask<kBits>);
  std::memcpy(bytes, &low, sizeof low);
  std::memcpy(bytes + kBits, &high, sizeof high);
#else
  std::uint64_t word = 0;
#if defined(__AVX2__)
  const __m256i wide = reinterpret_cast<__m256i>(codes);
  const __m128i half =
      _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  word = _pext_u64(_mm_cvtsi128_si64(_mm_packus_epi16(half, half)), detail::kByteMask<kBits>);
#else
  for (int lane = 0; lane < kLanes; ++lane) {
    word |= static_cast<std::uint64_t>(codes[lane]) << (lane * kBits);
  }
#endif
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(word >> (8 * i));
#endif
}

}  // namespace emcomp::simd
