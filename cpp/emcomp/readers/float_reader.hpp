// Rows stored as floats: the quantizer that does not quantize.
#pragma once

#include <memory>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// Writes all rows as dense `dtype` (native byte order) to out.
void convert_rows(const base::MatrixView& rows, base::DType dtype, std::byte* out, int threads);

// A reader over rows [rows, dim] of float16 or float32, which are not copied and must outlive it.
std::unique_ptr<RowReader> make_float_reader(const std::byte* values, base::DType dtype,
                                             std::int64_t rows, std::int64_t dim);

}  // namespace emcomp::readers
