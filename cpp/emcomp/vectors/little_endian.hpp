// Numbers of files, which are little-endian and lie anywhere, to numbers of this machine.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace emcomp::vectors {

template <class T>
T load_little_endian(const char* at) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, at, sizeof(T));
  if constexpr (std::endian::native == std::endian::big) std::reverse(bytes, bytes + sizeof(T));
  return std::bit_cast<T>(bytes);
}

inline void store_little_endian(float value, char* at) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if constexpr (std::endian::native == std::endian::big) bits = __builtin_bswap32(bits);
  std::memcpy(at, &bits, sizeof bits);
}

inline void load_little_endian(const char* at, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = load_little_endian<float>(at + i * 4);
}

}  // namespace emcomp::vectors
