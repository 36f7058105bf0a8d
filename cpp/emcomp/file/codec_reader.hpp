// The reader of a file's rows: what the codec's string and the tensors say together.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "emcomp/file/container.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::file {

// A reader of rows [rows, dim] over tensors whose bytes must outlive it. What a stage's options say
// about fitting is not looked at. Throws FormatError for a codec that is not known, and for a shape
// or tensors that do not fit it.
std::shared_ptr<const readers::RowReader> make_codec_reader(std::string_view codec,
                                                            std::int64_t rows, std::int64_t dim,
                                                            const Tensors& tensors);

}  // namespace emcomp::file
