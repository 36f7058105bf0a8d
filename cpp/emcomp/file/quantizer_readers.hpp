// Readers of quantized rows from the tensors of a file, by the quantizer's name.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "emcomp/file/stage_tensors.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::file {

using MakeReader = std::shared_ptr<const readers::RowReader> (*)(const StageTensors& from,
                                                                 std::int64_t rows,
                                                                 std::int64_t dim);

// What makes readers for a quantizer of this name, or null for an unknown name.
MakeReader find_quantizer(std::string_view name);

}  // namespace emcomp::file
