// A matrix in memory as the caller has it: any float type, any strides, either byte order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emcomp::base {

enum class DType : std::uint8_t { kFloat16, kBfloat16, kFloat32, kFloat64 };

constexpr std::int64_t item_size(DType dtype) {
  return dtype == DType::kFloat64 ? 8 : dtype == DType::kFloat32 ? 4 : 2;
}

struct MatrixView {
  const std::byte* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  std::int64_t row_stride = 0;     // bytes, may be negative
  std::int64_t column_stride = 0;  // bytes, may be negative
  DType dtype = DType::kFloat32;
  bool swapped = false;  // byte order differs from the machine's

  // Rows lie one after another as float32 and can be read in place.
  bool is_plain() const {
    return dtype == DType::kFloat32 && !swapped && column_stride == 4 && row_stride == dim * 4 &&
           reinterpret_cast<std::uintptr_t>(data) % alignof(float) == 0;
  }
};

// Writes rows [first, first + count) as dense float32 to out [count, dim].
void load_rows(const MatrixView& matrix, std::int64_t first, std::int64_t count, float* out);

// The same as float64, without rounding float64 input.
void load_rows(const MatrixView& matrix, std::int64_t first, std::int64_t count, double* out);

// Rows [first, first + count) as dense float32: the matrix's own memory where that is plain,
// otherwise scratch [count, dim] after filling it.
const float* rows_as_float(const MatrixView& matrix, std::int64_t first, std::int64_t count,
                           float* scratch);

// Writes `count` floats as `dtype` (native byte order) to out.
void store_floats(const float* values, std::int64_t count, DType dtype, std::byte* out);

}  // namespace emcomp::base
