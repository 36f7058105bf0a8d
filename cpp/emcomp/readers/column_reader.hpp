// Reading rows whose columns are kept by several readers, each scaled by a number of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader of rows of `dim` columns. The columns of all parts, one part after another, are the
// `columns` of the rows, times `scales`, which are not negative; other columns are zero.
std::unique_ptr<RowReader> make_column_reader(std::vector<std::shared_ptr<const RowReader>> parts,
                                              std::span<const std::int64_t> columns,
                                              std::span<const float> scales, std::int64_t dim);

}  // namespace emcomp::readers
