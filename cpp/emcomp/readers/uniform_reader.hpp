// Reading rows of uniformly quantized tables.
#pragma once

#include <memory>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/codes/uniform.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader over packed codes [rows, row_bytes(dim, bits)] and steps (float16 or float32) as laid
// out; neither is copied and both must outlive it.
std::unique_ptr<RowReader> make_uniform_reader(const std::uint8_t* codes, std::int64_t rows,
                                               std::int64_t dim, int bits, codes::StepLayout layout,
                                               const std::byte* steps, base::DType step_dtype);

}  // namespace emcomp::readers
