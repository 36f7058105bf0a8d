// Subscripts of vectors from the signed indices that the core counts with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emcomp::base {

constexpr std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace emcomp::base
