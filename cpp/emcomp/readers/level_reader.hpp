// Reading rows that are coded by levels.
#pragma once

#include <cstdint>
#include <memory>

#include "emcomp/codes/levels.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader over packed codes [rows, row_bytes(dim, bits)], which must outlive it; levels are
// copied.
std::unique_ptr<RowReader> make_level_reader(const std::uint8_t* codes, std::int64_t rows,
                                             std::int64_t dim, const codes::LevelTable& levels);

}  // namespace emcomp::readers
