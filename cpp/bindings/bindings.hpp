// One function for each concern of the core; each adds its functions and classes to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace emcomp::bindings {

void bind_gram(pybind11::module_& module);
void bind_neighbours(pybind11::module_& module);

}  // namespace emcomp::bindings
