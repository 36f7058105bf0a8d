// Reading rows whose codes stand for latents: row = scale * latents * map + offset, or ELU of that.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "emcomp/readers/row_reader.hpp"
#include "emcomp/transforms/linear_map.hpp"

namespace emcomp::readers {

struct Decoding {
  std::shared_ptr<const transforms::LinearMap> map;  // latents -> rows
  bool orthonormal = false;               // the map leaves lengths and angles as they are
  std::vector<float> offset;              // [dim], or empty for zero
  const std::uint16_t* scales = nullptr;  // float16 [rows], or null for 1; must outlive the reader
  float gain = 1.0f;                      // of all scales
  bool elu = false;                       // of the entries of decoded rows
};

// A reader of rows over a reader of their latents. Latents are decoded a batch at a time and
// multiplied once; a bag is summed before its one row is multiplied, and a query is compared with
// the latents (neither with ELU, which sums do not pass). The squared norms that this needs where
// the map is not orthonormal are kept once computed, 8 bytes a row.
std::unique_ptr<RowReader> make_transformed_reader(std::shared_ptr<const RowReader> latents,
                                                   Decoding decoding);

}  // namespace emcomp::readers
