// Reading rows that are coded by a trellis.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "emcomp/codes/trellis_code.hpp"
#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader over the bytes of rows, which must outlive it; the rest is copied. `places` has
// place_records(rows) records where the code has several classes of rows, and is null elsewhere:
// then all rows are as long.
std::unique_ptr<RowReader> make_trellis_reader(std::span<const std::uint8_t> packed,
                                               const std::uint8_t* places, std::int64_t rows,
                                               const codes::TrellisCode& code);

}  // namespace emcomp::readers
