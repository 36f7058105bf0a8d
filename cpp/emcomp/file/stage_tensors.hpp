// A stage of a codec's string and the tensors that are its own, with every check they need before
// a reader is made of them.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/file/codec_string.hpp"
#include "emcomp/file/container.hpp"
#include "emcomp/transforms/linear_map.hpp"

namespace emcomp::file {

using Shape = std::vector<std::int64_t>;

std::string shape_text(const Shape& shape);

// All members throw FormatError, naming the stage, for what does not fit.
struct StageTensors {
  const Stage& stage;
  const Tensors& tensors;
  std::string prefix;           // of its tensors' names
  std::set<std::string>& used;  // names of those that were asked for

  [[noreturn]] void fail(const std::string& problem) const;
  void check(bool good, const std::string& problem) const;

  // The sizes after the stage's name, whole numbers all.
  Shape sizes() const;

  // One of the `count` sizes, whole numbers, that must stand after the stage's name.
  std::int64_t size(std::size_t which, std::size_t count) const;
  int bits(std::size_t which, std::size_t count, std::int64_t most) const;

  // The one number after the stage's name: mean bits of an entry, which need not be whole.
  void check_mean_bits(int most) const;

  // The value of an option that takes one of two, or `first` where it is left out.
  std::string choice(const std::string& key, std::string_view first, std::string_view second) const;

  // The number of columns that an option `granularity` is.
  std::int64_t group(std::int64_t dim) const;

  const Tensor& tensor(const std::string& name) const;
  const Tensor& tensor(const std::string& name, const Shape& shape) const;
  void check_dtype(const std::string& name, std::string_view dtype) const;

  // The type of a tensor that may be float16 or float32.
  base::DType dtype(const std::string& name) const;

  const std::uint8_t* codes(std::int64_t rows, std::int64_t row_bytes) const;

  // Numbers that all rows share, which must be finite.
  const float* floats(const std::string& name, const Shape& shape) const;
  const Tensor& halves_or_floats(const std::string& name, const Shape& shape) const;

  // How many latents there are for dim columns: fewer only where the map is of bytes.
  std::int64_t narrow_latents(std::int64_t dim) const;

  // The map from latents to rows of dim columns: of floats, or bytes times a step for each latent.
  std::shared_ptr<const transforms::LinearMap> dense_map(std::int64_t latents,
                                                         std::int64_t dim) const;
};

}  // namespace emcomp::file
