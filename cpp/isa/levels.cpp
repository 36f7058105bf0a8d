#include "isa/levels.hpp"

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace emcomp::isa {

namespace {

#if defined(__x86_64__)

enum Register : std::uint8_t { kEax, kEbx, kEcx, kEdx };

// Where CPUID says that there is a feature, and which registers the system has to save for it.
struct Feature {
  const char* name;
  std::uint32_t leaf;
  Register where;
  int bit;
  std::uint32_t saved;
};

constexpr std::uint32_t kExtended = 0x80000001;
constexpr std::uint32_t kYmm = 0x06;  // bits of XCR0
constexpr std::uint32_t kZmm = 0xe6;

// The psABI's list for x86-64-v3 (with all of v2) and what v4 adds. The compiler may use any of it,
// and __builtin_cpu_supports does not know all names in every compiler.
constexpr Feature kV3[] = {
    {"cx16", 1, kEcx, 13, 0},   {"lahf", kExtended, kEcx, 0, 0},  {"popcnt", 1, kEcx, 23, 0},
    {"sse3", 1, kEcx, 0, 0},    {"ssse3", 1, kEcx, 9, 0},         {"sse4.1", 1, kEcx, 19, 0},
    {"sse4.2", 1, kEcx, 20, 0}, {"avx", 1, kEcx, 28, kYmm},       {"avx2", 7, kEbx, 5, kYmm},
    {"bmi1", 7, kEbx, 3, 0},    {"bmi2", 7, kEbx, 8, 0},          {"f16c", 1, kEcx, 29, kYmm},
    {"fma", 1, kEcx, 12, kYmm}, {"lzcnt", kExtended, kEcx, 5, 0}, {"movbe", 1, kEcx, 22, 0},
};
constexpr Feature kV4[] = {
    {"avx512f", 7, kEbx, 16, kZmm},  {"avx512bw", 7, kEbx, 30, kZmm},
    {"avx512cd", 7, kEbx, 28, kZmm}, {"avx512dq", 7, kEbx, 17, kZmm},
    {"avx512vl", 7, kEbx, 31, kZmm},
};

// What the system saves of the registers: nothing beyond SSE's where it does not use XSAVE.
std::uint32_t saved_registers() {
  unsigned registers[4] = {};
  constexpr int kOsxsave = 27;
  if (__get_cpuid(1, &registers[kEax], &registers[kEbx], &registers[kEcx], &registers[kEdx]) == 0 ||
      ((registers[kEcx] >> kOsxsave) & 1u) == 0) {
    return 0;
  }
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool has(const Feature& feature, std::uint32_t saved) {
  unsigned registers[4] = {};
  return __get_cpuid_count(feature.leaf, 0, &registers[kEax], &registers[kEbx], &registers[kEcx],
                           &registers[kEdx]) != 0 &&
         ((registers[feature.where] >> feature.bit) & 1u) != 0 &&
         (saved & feature.saved) == feature.saved;
}

template <std::size_t kCount>
void add_missing(const Feature (&features)[kCount], std::vector<std::string>& missing) {
  const std::uint32_t saved = saved_registers();
  for (const Feature& feature : features) {
    if (!has(feature, saved)) missing.emplace_back(feature.name);
  }
}

#endif

}  // namespace

std::vector<std::string> missing_features(const std::string& level) {
  std::vector<std::string> missing;
  if (level == "baseline") return missing;
#if defined(__x86_64__)
  if (level == "v3" || level == "v4") {
    add_missing(kV3, missing);
    if (level == "v4") add_missing(kV4, missing);
    return missing;
  }
#endif
  missing.emplace_back("any");
  return missing;
}

std::vector<std::string> split_levels(const std::string& names) {
  std::vector<std::string> levels;
  for (std::size_t start = 0; start < names.size();) {
    const std::size_t comma = names.find(',', start);
    const std::size_t end = comma == std::string::npos ? names.size() : comma;
    levels.push_back(names.substr(start, end - start));
    start = end + 1;
  }
  return levels;
}

std::vector<std::string> runnable_levels(const std::vector<std::string>& levels) {
  std::vector<std::string> runnable;
  for (const std::string& level : levels) {
    if (missing_features(level).empty()) runnable.push_back(level);
  }
  return runnable;
}

}  // namespace emcomp::isa
