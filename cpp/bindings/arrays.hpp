// NumPy arrays to the core's views, checked.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "emcomp/base/matrix_view.hpp"

namespace emcomp::bindings {

namespace py = pybind11;

// float16, float32 and float64 arrays of either byte order; uint16 holds bfloat16 bits.
base::DType dtype_of(const py::dtype& dtype);

// A view of a two-dimensional array of such a type. The array must outlive the view.
base::MatrixView matrix_view(const py::array& array);

template <class T>
using DenseArray = py::array_t<T, py::array::c_style>;

}  // namespace emcomp::bindings
