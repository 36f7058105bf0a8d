// Linear maps of rows: between a table's rows and the latents that stand for them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace emcomp::transforms {

// Maps rows [count, inputs] to rows [count, outputs]. Every entry is computed by the same float32
// operations in the same order whatever the instruction set and however many rows are asked for,
// so a row is the same bits alone and in a batch.
class LinearMap {
 public:
  LinearMap(std::int64_t inputs, std::int64_t outputs) : inputs_(inputs), outputs_(outputs) {}
  virtual ~LinearMap() = default;
  LinearMap(const LinearMap&) = delete;
  LinearMap& operator=(const LinearMap&) = delete;

  std::int64_t inputs() const { return inputs_; }
  std::int64_t outputs() const { return outputs_; }

  virtual void apply(const float* rows, std::int64_t count, float* out) const = 0;

  // The transposed map of one row [outputs], to out [inputs].
  virtual void apply_transposed(const float* row, float* out) const = 0;

 private:
  std::int64_t inputs_;
  std::int64_t outputs_;
};

// row -> row * matrix, for a matrix [inputs, outputs], which is copied.
std::shared_ptr<const LinearMap> make_dense_map(const float* matrix, std::int64_t inputs,
                                                std::int64_t outputs);

// An orthogonal map of rows of any dimension in O(dim log dim) operations, drawn by a seed: rounds
// of random signs and a Walsh-Hadamard transform. Where the dimension is not a power of two, the
// rounds take the largest such number of entries from either end in turn. `inverse` gives the map
// back.
std::shared_ptr<const LinearMap> make_rotation(std::int64_t dim, std::uint64_t seed, bool inverse);

}  // namespace emcomp::transforms
