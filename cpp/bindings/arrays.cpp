#include "bindings/arrays.hpp"

#include <bit>

namespace emcomp::bindings {

base::DType dtype_of(const py::dtype& dtype) {
  constexpr int kUint16 = 4;  // NumPy's type numbers
  constexpr int kFloat32 = 11;
  constexpr int kFloat64 = 12;
  constexpr int kFloat16 = 23;
  switch (dtype.num()) {
    case kFloat16:
      return base::DType::kFloat16;
    case kFloat32:
      return base::DType::kFloat32;
    case kFloat64:
      return base::DType::kFloat64;
    case kUint16:
      return base::DType::kBfloat16;
    default:
      break;
  }
  throw py::type_error("expected float16, float32, float64, or bfloat16 bits as uint16");
}

base::MatrixView matrix_view(const py::array& array) {
  if (array.ndim() != 2) throw py::type_error("expected a two-dimensional array");
  const char order = array.dtype().byteorder();
  const char foreign = std::endian::native == std::endian::little ? '>' : '<';
  return base::MatrixView{
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
