// Prints the best of the levels named in its arguments that this machine runs: CMake runs it to
// choose what to build.

#include <cstdio>

#include "isa/levels.hpp"

int main(int count, char** arguments) {
  const std::vector<std::string> levels(arguments + 1, arguments + count);
  const std::vector<std::string> runnable = emcomp::isa::runnable_levels(levels);
  if (runnable.empty()) return 1;
  std::fputs(runnable.back().c_str(), stdout);
}
