// Which builds of the core there are, and which of them this processor can run.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "isa/levels.hpp"

PYBIND11_MODULE(_isa, module, pybind11::mod_gil_not_used()) {
  module.doc() = "Instruction-set levels built, and those this processor runs.";
  module.attr("version") = EMCOMP_VERSION;
  module.attr("compiler") = EMCOMP_COMPILER;
  module.def("built_levels", &emcomp::isa::built_levels, "Levels in this build, lowest first.");
  module.def("available_levels", &emcomp::isa::available_levels,
             "Levels in this build that this processor runs, lowest first.");
}
