#include "emcomp/base/checksum.hpp"

#include <algorithm>
#include <bit>

namespace emcomp::base {

namespace {

constexpr std::uint64_t kPrime1 = 0x9e3779b185ebca87u;
constexpr std::uint64_t kPrime2 = 0xc2b2ae3d27d4eb4fu;
constexpr std::uint64_t kPrime3 = 0x165667b19e3779f9u;
constexpr std::uint64_t kPrime4 = 0x85ebca77c2b2ae63u;
constexpr std::uint64_t kPrime5 = 0x27d4eb2f165667c5u;

using Lanes = std::array<std::uint64_t, 4>;
constexpr Lanes kStart = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};

template <class Word>
Word read_little_endian(const std::uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::big) {
    auto* first = reinterpret_cast<std::uint8_t*>(&word);
    std::reverse(first, first + sizeof word);
  }
  return word;
}

std::uint64_t mix(std::uint64_t lane, std::uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

// Consumes whole stripes of 32 bytes; returns where they end.
const std::uint8_t* mix_stripes(Lanes& lanes, const std::uint8_t* at, const std::uint8_t* end) {
  Lanes local = lanes;
  for (; end - at >= 32; at += 32) {
    for (std::size_t i = 0; i < 4; ++i) {
      local[i] = mix(local[i], read_little_endian<std::uint64_t>(at + 8 * i));
    }
  }
  lanes = local;
  return at;
}

std::uint64_t finish(const Lanes& lanes, std::uint64_t total, const std::uint8_t* at,
                     const std::uint8_t* end) {
  std::uint64_t hash = kPrime5;
  if (total >= 32) {
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
           std::rotl(lanes[3], 18);
    for (const std::uint64_t lane : lanes) hash = (hash ^ mix(0, lane)) * kPrime1 + kPrime4;
  }
  hash += total;
  for (; end - at >= 8; at += 8) {
    hash ^= mix(0, read_little_endian<std::uint64_t>(at));
    hash = std::rotl(hash, 27) * kPrime1 + kPrime4;
  }
  if (end - at >= 4) {
    hash ^= read_little_endian<std::uint32_t>(at) * kPrime1;
    hash = std::rotl(hash, 23) * kPrime2 + kPrime3;
    at += 4;
  }
  for (; at != end; ++at) hash = std::rotl(hash ^ (*at * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

}  // namespace

Checksum::Checksum() : lanes_(kStart) {}

void Checksum::update(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return;
  const std::size_t held = total_ % kStripe;
  total_ += bytes.size();
  if (held != 0) {
    const std::size_t taken = std::min(kStripe - held, bytes.size());
    std::memcpy(pending_.data() + held, bytes.data(), taken);
    if (held + taken < kStripe) return;
    mix_stripes(lanes_, pending_.data(), pending_.data() + kStripe);
    bytes = bytes.subspan(taken);
  }
  const std::uint8_t* end = bytes.data() + bytes.size();
  const std::uint8_t* at = mix_stripes(lanes_, bytes.data(), end);
  std::copy(at, end, pending_.data());
}

std::uint64_t Checksum::digest() const {
  return finish(lanes_, total_, pending_.data(), pending_.data() + total_ % kStripe);
}

std::uint64_t checksum(std::span<const std::uint8_t> bytes) {
  Lanes lanes = kStart;
  const std::uint8_t* end = bytes.data() + bytes.size();
  const std::uint8_t* at = mix_stripes(lanes, bytes.data(), end);
  return finish(lanes, bytes.size(), at, end);
}

}  // namespace emcomp::base
