#include "bindings/arrays.hpp"

#include <bit>

namespace emcomp::bindings {

DType dtype_of(const py::dtype& dtype) {
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  if (kind == 'f' && size == 2) return DType::kFloat16;
  if (kind == 'f' && size == 4) return DType::kFloat32;
  if (kind == 'f' && size == 8) return DType::kFloat64;
  if (kind == 'u' && size == 2) return DType::kBfloat16;
  throw py::type_error("expected float16, float32, float64, or bfloat16 bits as uint16");
}

MatrixView matrix_view(const py::array& array) {
  if (array.ndim() != 2) throw py::type_error("expected a two-dimensional array");
  const char order = array.dtype().byteorder();
  const char foreign = std::endian::native == std::endian::little ? '>' : '<';
  return MatrixView{
      .data = static_cast<const std::byte*>(array.data()),
      .rows = array.shape(0),
      .dim = array.shape(1),
      .row_stride = array.strides(0),
      .column_stride = array.strides(1),
      .dtype = dtype_of(array.dtype()),
      .swapped = order == foreign,
  };
}

}  // namespace emcomp::bindings
