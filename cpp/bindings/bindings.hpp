// One function for each concern of the core; each adds its functions and classes to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace emcomp::bindings {

void bind_bit_packing(pybind11::module_& module);
void bind_uniform(pybind11::module_& module);
void bind_value_histogram(pybind11::module_& module);
void bind_levels(pybind11::module_& module);
void bind_row_reader(pybind11::module_& module);
void bind_container(pybind11::module_& module);
void bind_checksum(pybind11::module_& module);
void bind_vocabulary(pybind11::module_& module);
void bind_vectors(pybind11::module_& module);
void bind_squared_error(pybind11::module_& module);
void bind_transforms(pybind11::module_& module);
void bind_gram(pybind11::module_& module);
void bind_neighbours(pybind11::module_& module);
void bind_kmeans(pybind11::module_& module);
void bind_product_quantizer(pybind11::module_& module);
void bind_residual_quantizer(pybind11::module_& module);
void bind_compositional_codes(pybind11::module_& module);
void bind_additive_refinement(pybind11::module_& module);
void bind_autoencoder(pybind11::module_& module);
void bind_trellis(pybind11::module_& module);

}  // namespace emcomp::bindings
