// Rows stored as floats: the quantizer that does not quantize.
#pragma once

#include <memory>

#include "emcomp/matrix_view.hpp"
#include "emcomp/row_reader.hpp"

namespace emcomp {

// Writes all rows as dense `dtype` (native byte order) to out.
void convert_rows(const MatrixView& rows, DType dtype, std::byte* out, int threads);

// A reader over rows [rows, dim] of float16 or float32, which are not copied and must outlive it.
std::unique_ptr<RowReader> make_float_reader(const std::byte* values, DType dtype,
                                             std::int64_t rows, std::int64_t dim);

}  // namespace emcomp
