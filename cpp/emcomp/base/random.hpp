// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", 2011). A number depends on its key and counter alone, never on who draws it or when.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace emcomp::base {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

inline PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

inline PhiloxKey philox_key(std::uint64_t seed) {
  return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
}

// Four numbers for columns [4 * column_group, 4 * column_group + 4) of a row. Different uses of one
// seed take different streams.
inline PhiloxCounter row_random(PhiloxKey key, std::int64_t row, std::uint32_t column_group,
                                std::uint32_t stream = 0) {
  const auto index = static_cast<std::uint64_t>(row);
  return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                 column_group, stream},
                key);
}

// Uniform in [0, 1), a multiple of 2^-24.
inline float unit_float(std::uint32_t random) { return static_cast<float>(random >> 8) * 0x1p-24f; }

// `count` such numbers.
inline void fill_uniform(PhiloxKey key, std::int64_t row, std::uint32_t stream, float* out,
                         std::int64_t count) {
  for (std::int64_t c = 0; c < count; c += 4) {
    const PhiloxCounter four = row_random(key, row, static_cast<std::uint32_t>(c / 4), stream);
    const std::int64_t wanted = std::min<std::int64_t>(4, count - c);
    for (std::int64_t lane = 0; lane < wanted; ++lane) {
      out[c + lane] = unit_float(four[static_cast<std::size_t>(lane)]);
    }
  }
}

// A number in [0, bound), even but for less than a part in 2^32.
inline std::int64_t random_below(PhiloxKey key, std::int64_t row, std::uint32_t stream,
                                 std::int64_t bound) {
  const PhiloxCounter four = row_random(key, row, 0, stream);
  const std::uint64_t number = (std::uint64_t{four[0]} << 32) | four[1];
  return static_cast<std::int64_t>(number % static_cast<std::uint64_t>(bound));
}

}  // namespace emcomp::base
