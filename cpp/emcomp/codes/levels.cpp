#include "emcomp/codes/levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "emcomp/base/parallel.hpp"
#include "emcomp/codes/column_groups.hpp"
#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/simd/table.hpp"

namespace emcomp::codes {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kChunkBytes;
using simd::kLanes;

// The largest float that is nearer to `level` than to `next`, or as near; all of them where the two
// are equal.
float threshold(float level, float next) {
  if (level == next) return std::numeric_limits<float>::infinity();
  const double middle = (double{level} + double{next}) / 2.0;
  const auto rounded = static_cast<float>(middle);
  return double{rounded} > middle ? std::nextafter(rounded, -std::numeric_limits<float>::infinity())
                                  : rounded;
}

// The thresholds between levels as a binary search tree: node 1 is the root, the children of node k
// are 2k and 2k + 1. Padded to whole vectors.
template <int kBits>
struct SearchTree {
  static constexpr int kCount = 1 << kBits;
  static constexpr std::int64_t kStride = std::max<std::int64_t>(kCount, kLanes);

  static void fill(const float* levels, float* nodes) {
    for (int node = 1; node < kCount; ++node) {
      int depth = 0;
      while (node >> (depth + 1)) ++depth;
      const int below = ((2 * (node - (1 << depth)) + 1) << (kBits - 1 - depth)) - 1;
      nodes[node] = threshold(levels[below], levels[below + 1]);
    }
  }

  // Which values are above the threshold goes to the next bit of the code.
  static Ints descend(Ints node, Floats values, Floats thresholds) {
    return node + node - (values > thresholds);
  }

  static Ints search(const float* nodes, Floats values) {
    return search_from<0>(nodes, values, Ints{} + 1) - kCount;
  }

  // The same in memory, for lanes whose trees differ.
  static Ints search(const float* trees, Ints tree, Floats values) {
    Ints node = Ints{} + 1;
    for (int depth = 0; depth < kBits; ++depth) {
      node = descend(node, values, simd::gather(trees, tree + node));
    }
    return node - kCount;
  }

 private:
  static constexpr int kLaneBits = kLanes == 16 ? 4 : 3;

  template <int kDepth>
  static Ints search_from(const float* nodes, Floats values, Ints node) {
    if constexpr (kDepth == kBits) {
      return node;
    } else {
      // The first kLanes nodes lie in one vector; each depth after them fills whole ones.
      const Floats thresholds = kDepth < kLaneBits
                                    ? simd::lookup<kLaneBits>(nodes, node)
                                    : simd::lookup<kDepth>(nodes + (1 << kDepth), node);
      return search_from<kDepth + 1>(nodes, values, descend(node, values, thresholds));
    }
  }
};

}  // namespace

void encode_levels(const base::MatrixView& matrix, const LevelTable& levels, std::uint8_t* packed,
                   int threads) {
  const std::int64_t dim = matrix.dim;
  const std::int64_t bytes = packing::row_bytes(dim, levels.bits);
  packing::for_bits(levels.bits, [&](auto width) {
    constexpr int kBits = width;
    using Tree = SearchTree<kBits>;
    const std::int64_t groups = levels.groups(dim);
    std::vector<float> trees(static_cast<std::size_t>(groups * Tree::kStride));
    for (std::int64_t g = 0; g < groups; ++g) {
      Tree::fill(levels.values + g * levels.count(), trees.data() + g * Tree::kStride);
    }
    const ColumnGroups offsets(dim, levels.group, Tree::kStride);
    base::parallel_blocks(
        matrix.rows, base::kBlockRows, threads, [&](std::int64_t begin, std::int64_t end) {
          std::vector<float> scratch(matrix.is_plain() ? 0 : static_cast<std::size_t>(dim));
          // Packing writes past a chunk's end, so a row is packed aside and then copied.
          std::vector<std::uint8_t> row_codes(static_cast<std::size_t>(bytes) + 4 * kLanes);
          for (std::int64_t r = begin; r < end; ++r) {
            const float* row = base::rows_as_float(matrix, r, 1, scratch.data());
            std::uint8_t* target = row_codes.data();
            for (std::int64_t c = 0; c < dim; c += kLanes, target += kChunkBytes<kBits>) {
              const Floats values =
                  c + kLanes <= dim ? simd::load(row + c) : simd::load_first(row + c, dim - c);
              const std::int32_t common = offsets.common(c / kLanes);
              Ints codes = common >= 0
                               ? Tree::search(trees.data() + common, values)
                               : Tree::search(trees.data(), offsets.lanes(c / kLanes), values);
              if (c + kLanes > dim) {  // unused bits are zero
                for (std::int64_t lane = dim - c; lane < kLanes; ++lane) codes[lane] = 0;
              }
              simd::pack<kBits>(codes, target);
            }
            std::memcpy(packed + r * bytes, row_codes.data(), static_cast<std::size_t>(bytes));
          }
        });
  });
}

}  // namespace emcomp::codes
