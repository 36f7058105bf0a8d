// Instruction-set levels: which are in this build, and what the processor lacks of one. Compiled
// for the baseline only, and small enough for a program that CMake runs.
#pragma once

#include <string>
#include <vector>

namespace emcomp::isa {

// Features of "baseline", "v3" or "v4" (x86-64-v3, x86-64-v4) that the processor or the operating
// system lacks; "any" of another name.
std::vector<std::string> missing_features(const std::string& level);

// The names in a list with commas between them: levels, lowest first.
std::vector<std::string> split_levels(const std::string& names);

// Those of the levels that this processor runs.
std::vector<std::string> runnable_levels(const std::vector<std::string>& levels);

}  // namespace emcomp::isa
