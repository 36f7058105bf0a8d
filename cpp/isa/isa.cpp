// Which builds of the core there are, and which of them this processor can run.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

namespace {

bool runs(const std::string& level) {
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

std::vector<std::string> built_levels() {
  std::vector<std::string> levels;
  std::string csv = EMCOMP_BUILT_LEVELS;
  for (std::size_t start = 0; start <= csv.size();) {
    const std::size_t comma = std::min(csv.find(',', start), csv.size());
    levels.push_back(csv.substr(start, comma - start));
    start = comma + 1;
  }
  return levels;
}

std::vector<std::string> available_levels() {
  std::vector<std::string> levels;
  for (const std::string& level : built_levels()) {
    if (runs(level)) levels.push_back(level);
  }
  return levels;
}

}  // namespace

PYBIND11_MODULE(_isa, module, pybind11::mod_gil_not_used()) {
  module.doc() = "Instruction-set levels built, and those this processor runs.";
  module.attr("version") = EMCOMP_VERSION;
  module.attr("compiler") = EMCOMP_COMPILER;
  module.def("built_levels", &built_levels, "Levels in this build, lowest first.");
  module.def("available_levels", &available_levels,
             "Levels in this build that this processor runs, lowest first.");
}
