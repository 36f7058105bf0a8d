// Which instruction-set levels there are in this build (EMCOMP_BUILT_LEVELS, lowest first) and
// which of them this processor runs. Compiled for the baseline only.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace emcomp::isa {

inline bool runs(const std::string& level) {
  if (level == "baseline") return true;
#if defined(__x86_64__)
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (level == "v3") return v3;
  if (level == "v4") {
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  }
#endif
  return false;
}

inline std::vector<std::string> built_levels() {
  std::vector<std::string> levels;
  std::string csv = EMCOMP_BUILT_LEVELS;
  for (std::size_t start = 0; start <= csv.size();) {
    const std::size_t comma = std::min(csv.find(',', start), csv.size());
    levels.push_back(csv.substr(start, comma - start));
    start = comma + 1;
  }
  return levels;
}

inline std::vector<std::string> available_levels() {
  std::vector<std::string> levels;
  for (const std::string& level : built_levels()) {
    if (runs(level)) levels.push_back(level);
  }
  return levels;
}

}  // namespace emcomp::isa
