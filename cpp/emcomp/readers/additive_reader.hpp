// Reading rows that are sums of codewords: one of each of several codebooks of whole rows.
#pragma once

#include <memory>

#include "emcomp/readers/row_reader.hpp"

namespace emcomp::readers {

// A reader over packed codes [rows, (stages * bits + 7) / 8] and codebooks [stages, 2^bits, dim];
// neither is copied and both must outlive it. Codewords are added in the order of the stages.
std::unique_ptr<RowReader> make_additive_reader(const std::uint8_t* codes, std::int64_t rows,
                                                std::int64_t dim, std::int64_t stages, int bits,
                                                const float* codebooks);

}  // namespace emcomp::readers
