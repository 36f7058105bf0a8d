// NumPy arrays to the core's views, checked.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::bindings {

namespace py = pybind11;

// float16, float32 and float64 arrays of either byte order; uint16 holds bfloat16 bits.
base::DType dtype_of(const py::dtype& dtype);

// A view of a two-dimensional array of such a type. The array must outlive the view.
base::MatrixView matrix_view(const py::array& array);

template <class T>
using DenseArray = py::array_t<T, py::array::c_style>;

// The entries of a dense array.
template <class T>
std::span<const T> entries(const DenseArray<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

// A copy of values as an array of a shape.
template <class T>
DenseArray<T> as_array(const std::vector<T>& values, std::vector<py::ssize_t> shape) {
  return DenseArray<T>(std::move(shape), values.data());
}
template <class T>
DenseArray<T> as_array(const std::vector<T>& values) {
  return as_array(values, {static_cast<py::ssize_t>(values.size())});
}

}  // namespace emcomp::bindings
