// A table whose rows are kept by several readers, one after another: the shards of a large table.
#pragma once

#include <memory>
#include <vector>

#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// The rows of all parts, in order. There is at least one part, and all are made by the same codec
// with the same shared tensors.
std::shared_ptr<const RowReader> make_concatenated_reader(
    std::vector<std::shared_ptr<const RowReader>> parts);

}  // namespace emcomp::readers
