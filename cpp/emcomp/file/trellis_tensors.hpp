// Readers of trellis codes from the tensors of a file.
#pragma once

#include <cstdint>
#include <memory>

#include "emcomp/file/stage_tensors.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::file {

std::shared_ptr<const readers::RowReader> trellis_codes(const StageTensors& from, std::int64_t rows,
                                                        std::int64_t dim);

}  // namespace emcomp::file
