// The nearest codeword of a row: distances to all codewords and their arg-min in one pass.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace emcomp::kmeans {

// A score is |c|^2 / 2 - x.c: half the squared distance of x and c, less |x|^2 / 2.
struct NearestTwo {
  std::int32_t index;
  float score;
  float second;  // score of the next codeword, infinite where there is none
};

// How products are added up. Portable sums are the same bits on every instruction set. Fused ones
// round once instead of twice and are up to half as fast again, where the instruction set has them.
enum class Products : std::uint8_t { kPortable, kFused };

// Codewords laid out for the search: transposed in panels, so that the lanes of a vector register
// run over codewords and no sum crosses lanes.
class NearestCodeword {
 public:
  NearestCodeword() = default;

  // codewords [count, dim], dense.
  NearestCodeword(const float* codewords, std::int64_t count, std::int64_t dim);

  std::int64_t count() const { return count_; }
  std::int64_t dim() const { return dim_; }

  // For rows [count, dim] that lie row_stride floats apart, the index of the nearest codeword: the
  // smallest one where several are as near.
  void search(const float* rows, std::int64_t row_stride, std::int64_t count, Products products,
              std::int32_t* indices) const;

  // The products x.c of rows and all codewords, to out [count, this->count()].
  void products(const float* rows, std::int64_t row_stride, std::int64_t count, float* out) const;

  // The two nearest codewords of the listed rows.
  void search_two(const float* rows, std::int64_t row_stride, std::span<const std::int32_t> list,
                  Products products, NearestTwo* out) const;

 private:
  template <Products kProducts, bool kSecond, class Write>
  void search_all(const float* rows, std::int64_t row_stride, const std::int32_t* list,
                  std::int64_t count, const Write& write) const;

  std::int64_t count_ = 0;
  std::int64_t dim_ = 0;
  std::vector<float> panels_;
  std::vector<float> half_norms_;  // infinite for the padding of the last panel
};

// |a - b|^2, summed in the same order on every instruction set.
float squared_distance(const float* a, const float* b, std::int64_t dim);

// |row|^2. Throws InputError, naming the row by its index, where that is not finite or so large
// that distances would overflow.
float checked_squared_norm(const float* row, std::int64_t dim, std::int64_t index);

}  // namespace emcomp::kmeans
