// Reading rows of product-quantized tables.
#pragma once

#include <memory>

#include "emcomp/codes/product_quantizer.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader over packed codes [rows, layout.row_bytes()], which must outlive it, and codebook
// [2^bits, dim], which is copied.
std::unique_ptr<RowReader> make_product_reader(const std::uint8_t* codes, std::int64_t rows,
                                               const codes::ProductLayout& layout,
                                               const float* codebook);

}  // namespace emcomp::readers
