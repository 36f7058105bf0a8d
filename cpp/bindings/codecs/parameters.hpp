// Parameters of a network, a struct whose tensors() are pointers to matrices, as a tuple of arrays.
#pragma once

#include <algorithm>

#include "bindings/arrays.hpp"
#include "emcomp/networks/row_matrix.hpp"

namespace emcomp::bindings {

template <class Parameters>
py::tuple as_tuple(Parameters parameters) {
  const auto tensors = parameters.tensors();
  py::tuple arrays(tensors.size());
  std::size_t index = 0;
  for (const networks::RowMatrix* tensor : tensors) {
    arrays[index++] = DenseArray<float>({tensor->rows(), tensor->cols()}, tensor->data());
  }
  return arrays;
}

// Copies arrays over parameters of the same shapes.
template <class Parameters>
void assign(const py::tuple& arrays, Parameters& parameters) {
  const auto tensors = parameters.tensors();
  if (arrays.size() != tensors.size()) throw py::type_error("wrong number of parameters");
  std::size_t index = 0;
  for (networks::RowMatrix* tensor : tensors) {
    const auto array = py::cast<DenseArray<float>>(arrays[index++]);
    if (array.ndim() != 2 || array.shape(0) != tensor->rows() || array.shape(1) != tensor->cols()) {
      throw py::type_error("a parameter has the wrong shape");
    }
    std::copy_n(array.data(), tensor->size(), tensor->data());
  }
}

}  // namespace emcomp::bindings
