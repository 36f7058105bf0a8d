// Mutations of a file, the same for the same seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace emcomp::fuzz {

class Mutator {
 public:
  Mutator(std::uint64_t seed, std::vector<std::string> pieces)
      : random_(seed), pieces_(std::move(pieces)) {}

  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  // A few changes: bytes set or flipped, runs removed, doubled or swapped in from another place,
  // numbers overwritten by extreme ones, the end cut off, pieces of the format put in.
  std::string mutated(std::string file) {
    const std::size_t changes = 1 + below(6);
    for (std::size_t i = 0; i < changes; ++i) change(file);
    return file;
  }

 private:
  void change(std::string& file) {
    const std::size_t at = below(file.size() + 1);
    const std::size_t length = std::min(below(below(8) == 0 ? 300 : 12), file.size() - at);
    switch (below(8)) {
      case 0:
        if (at < file.size()) file[at] = static_cast<char>(random_());
        break;
      case 1:
        if (at < file.size()) file[at] = static_cast<char>(file[at] ^ (1 << below(8)));
        break;
      case 2:
        file.erase(at, length);
        break;
      case 3:
        file.insert(below(file.size() + 1), file.substr(at, length));
        break;
      case 4:
        file.replace(at, length, file.substr(below(file.size() + 1), length));
        break;
      case 5: {
        constexpr std::int64_t kExtremes[] = {0,       1,         -1,        INT32_MAX, INT32_MIN,
                                              1 << 20, INT64_MAX, INT64_MIN, 1LL << 40, 255};
        const std::int64_t value = kExtremes[below(std::size(kExtremes))];
        const std::size_t width = std::min<std::size_t>(below(2) == 0 ? 4 : 8, file.size() - at);
        std::memcpy(file.data() + at, &value, width);
        break;
      }
      case 6:
        if (below(4) == 0) file.resize(at);
        break;
      default:
        file.insert(at, pieces_[below(pieces_.size())]);
    }
  }

  std::mt19937_64 random_;
  std::vector<std::string> pieces_;
};

}  // namespace emcomp::fuzz
