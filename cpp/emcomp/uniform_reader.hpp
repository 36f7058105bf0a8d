// Reading rows of uniformly quantized tables.
#pragma once

#include <memory>

#include "emcomp/matrix_view.hpp"
#include "emcomp/row_reader.hpp"
#include "emcomp/uniform.hpp"

namespace emcomp {

// A reader over packed codes [rows, row_bytes(dim, bits)] and steps (float16 or float32) as laid
// out; neither is copied and both must outlive it.
std::unique_ptr<RowReader> make_uniform_reader(const std::uint8_t* codes, std::int64_t rows,
                                               std::int64_t dim, int bits, StepLayout layout,
                                               const std::byte* steps, DType step_dtype);

}  // namespace emcomp
