#include "emcomp/base/matrix_view.hpp"

#include <bit>
#include <cstring>

#include "emcomp/base/half.hpp"

namespace emcomp::base {

namespace {

template <DType kType>
struct Element;

template <>
struct Element<DType::kFloat16> {
  using Bits = std::uint16_t;
  static float value(Bits bits) { return float_from_half(bits); }
};
template <>
struct Element<DType::kBfloat16> {
  using Bits = std::uint16_t;
  static float value(Bits bits) { return float_from_bfloat16(bits); }
};
template <>
struct Element<DType::kFloat32> {
  using Bits = std::uint32_t;
  static float value(Bits bits) { return std::bit_cast<float>(bits); }
};
template <>
struct Element<DType::kFloat64> {
  using Bits = std::uint64_t;
  static double value(Bits bits) { return std::bit_cast<double>(bits); }
};

std::uint16_t swap_bytes(std::uint16_t bits) { return __builtin_bswap16(bits); }
std::uint32_t swap_bytes(std::uint32_t bits) { return __builtin_bswap32(bits); }
std::uint64_t swap_bytes(std::uint64_t bits) { return __builtin_bswap64(bits); }

template <DType kType, bool kSwapped, class Real>
Real read(const std::byte* at) {
  typename Element<kType>::Bits bits;
  std::memcpy(&bits, at, sizeof bits);
  if constexpr (kSwapped) bits = swap_bytes(bits);
  return static_cast<Real>(Element<kType>::value(bits));
}

template <DType kType, bool kSwapped, class Real>
void load(const MatrixView& matrix, std::int64_t first, std::int64_t count, Real* out) {
  constexpr std::int64_t kSize = item_size(kType);
  const std::byte* origin = matrix.data + first * matrix.row_stride;
  if (matrix.column_stride == kSize) {
    for (std::int64_t r = 0; r < count; ++r) {
      const std::byte* row = origin + r * matrix.row_stride;
      Real* target = out + r * matrix.dim;
      for (std::int64_t c = 0; c < matrix.dim; ++c) {
        target[c] = read<kType, kSwapped, Real>(row + c * kSize);
      }
    }
    return;
  }
  // Column by column within a few rows: both sides of the transposition stay in cache.
  constexpr std::int64_t kStripe = 16;
  for (std::int64_t begin = 0; begin < count; begin += kStripe) {
    const std::int64_t end = begin + kStripe < count ? begin + kStripe : count;
    for (std::int64_t c = 0; c < matrix.dim; ++c) {
      const std::byte* column = origin + c * matrix.column_stride;
      for (std::int64_t r = begin; r < end; ++r) {
        out[r * matrix.dim + c] = read<kType, kSwapped, Real>(column + r * matrix.row_stride);
      }
    }
  }
}

template <DType kType, class Real>
void load(const MatrixView& matrix, std::int64_t first, std::int64_t count, Real* out) {
  if (matrix.swapped) {
    load<kType, true>(matrix, first, count, out);
  } else {
    load<kType, false>(matrix, first, count, out);
  }
}

template <class Real>
void load_any(const MatrixView& matrix, std::int64_t first, std::int64_t count, Real* out) {
  switch (matrix.dtype) {
    case DType::kFloat16:
      return load<DType::kFloat16>(matrix, first, count, out);
    case DType::kBfloat16:
      return load<DType::kBfloat16>(matrix, first, count, out);
    case DType::kFloat32:
      return load<DType::kFloat32>(matrix, first, count, out);
    case DType::kFloat64:
      return load<DType::kFloat64>(matrix, first, count, out);
  }
}

}  // namespace

void load_rows(const MatrixView& matrix, std::int64_t first, std::int64_t count, float* out) {
  load_any(matrix, first, count, out);
}

void load_rows(const MatrixView& matrix, std::int64_t first, std::int64_t count, double* out) {
  load_any(matrix, first, count, out);
}

const float* rows_as_float(const MatrixView& matrix, std::int64_t first, std::int64_t count,
                           float* scratch) {
  if (matrix.is_plain()) {
    return reinterpret_cast<const float*>(matrix.data + first * matrix.row_stride);
  }
  load_rows(matrix, first, count, scratch);
  return scratch;
}

void store_floats(const float* values, std::int64_t count, DType dtype, std::byte* out) {
  switch (dtype) {
    case DType::kFloat32:
      std::memcpy(out, values, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case DType::kFloat64: {
      auto* target = reinterpret_cast<double*>(out);
      for (std::int64_t i = 0; i < count; ++i) target[i] = values[i];
      return;
    }
    case DType::kFloat16: {
      auto* target = reinterpret_cast<std::uint16_t*>(out);
      for (std::int64_t i = 0; i < count; ++i) target[i] = half_from_float(values[i]);
      return;
    }
    case DType::kBfloat16: {
      auto* target = reinterpret_cast<std::uint16_t*>(out);
      for (std::int64_t i = 0; i < count; ++i) target[i] = bfloat16_from_float(values[i]);
      return;
    }
  }
}

}  // namespace emcomp::base
