// XXH64 (the specification at https://xxhash.com, seed 0): checksums of a file's tensors and
// hashes of words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace emcomp::base {

// The hash of bytes that arrive piece by piece.
class Checksum {
 public:
  Checksum();

  void update(std::span<const std::uint8_t> bytes);

  // The hash of all bytes so far; more may follow.
  std::uint64_t digest() const;

 private:
  static constexpr std::size_t kStripe = 32;

  std::array<std::uint64_t, 4> lanes_;
  std::array<std::uint8_t, kStripe> pending_{};  // the first total_ % kStripe are in use
  std::uint64_t total_ = 0;
};

// The hash of bytes that are all there.
std::uint64_t checksum(std::span<const std::uint8_t> bytes);

inline std::uint64_t checksum(std::string_view text) {
  return checksum({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace emcomp::base
