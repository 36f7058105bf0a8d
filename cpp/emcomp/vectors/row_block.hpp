// Rows of float32 to be filled in.
#pragma once

#include <cstdint>

namespace emcomp::vectors {

struct RowBlock {
  float* values = nullptr;  // [rows, dim]
  std::int64_t rows = 0;
  std::int64_t dim = 0;
};

}  // namespace emcomp::vectors
