// Reading rows that are coded by a trellis.
#pragma once

#include <cstdint>
#include <memory>

#include "emcomp/codes/trellis_code.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader over packed rows [rows, code.row_bytes()], which must outlive it; the rest is copied.
std::unique_ptr<RowReader> make_trellis_reader(const std::uint8_t* packed, std::int64_t rows,
                                               const codes::TrellisCode& code);

}  // namespace emcomp::readers
