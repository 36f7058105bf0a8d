#include "emcomp/simd/byte_table.hpp"

#if defined(__AVX2__)

namespace emcomp::simd {

bool has_byte_permutes() {
#if defined(EMCOMP_SIMD_512)
  static const bool supported = __builtin_cpu_supports("avx512vbmi");
  return supported;
#else
  return true;
#endif
}

}  // namespace emcomp::simd

#endif
