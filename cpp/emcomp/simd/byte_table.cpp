#include "emcomp/simd/byte_table.hpp"

#if defined(EMCOMP_SIMD_512)

namespace emcomp::simd {

bool has_byte_permutes() {
  static const bool supported = __builtin_cpu_supports("avx512vbmi");
  return supported;
}

}  // namespace emcomp::simd

#endif
