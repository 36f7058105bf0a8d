#include "emcomp/readers/float_reader.hpp"

#include <vector>

#include "emcomp/base/half.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/readers/chunk_reader.hpp"

namespace emcomp::readers {

namespace {

using simd::Floats;
using simd::kLanes;

Floats floats_from_half(const std::byte* from) {
#if defined(EMCOMP_SIMD_512)
  return reinterpret_cast<Floats>(
      _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__F16C__)
  return reinterpret_cast<Floats>(
      _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
  std::array<std::uint16_t, kLanes> halves;
  std::memcpy(halves.data(), from, sizeof halves);
  Floats values;
  for (int lane = 0; lane < kLanes; ++lane) {
    values[lane] = base::float_from_half(halves[static_cast<std::size_t>(lane)]);
  }
  return values;
#endif
}

template <base::DType kType>
struct FloatChunks {
  static constexpr std::int64_t kSize = base::item_size(kType);
  const std::byte* values;
  std::int64_t dim;

  using Row = const std::byte*;
  Row row(std::int64_t index) const { return values + index * dim * kSize; }
  auto decoder() const {
    return [dim = dim](Row row, std::int64_t chunk) {
      const std::byte* from = row + chunk * kLanes * kSize;
      std::array<std::byte, kLanes * kSize> last{};
      if ((chunk + 1) * kLanes > dim) {  // what follows may not be ours to read
        std::memcpy(last.data(), from, static_cast<std::size_t>((dim - chunk * kLanes) * kSize));
        from = last.data();
      }
      if constexpr (kType == base::DType::kFloat16) {
        return floats_from_half(from);
      } else {
        Floats floats;
        std::memcpy(&floats, from, sizeof floats);
        return floats;
      }
    };
  }
  void prefetch(std::int64_t index) const {
    const std::byte* begin = row(index);
    for (std::int64_t offset = 0; offset < dim * kSize; offset += 64) {
      __builtin_prefetch(begin + offset);
    }
  }
};

}  // namespace

void convert_rows(const base::MatrixView& rows, base::DType dtype, std::byte* out, int threads) {
  base::parallel_blocks(
      rows.rows, base::kBlockRows, base::threads_for(rows.rows * rows.dim, threads),
      [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> scratch(static_cast<std::size_t>((end - begin) * rows.dim));
        const float* from = base::rows_as_float(rows, begin, end - begin, scratch.data());
        base::store_floats(from, (end - begin) * rows.dim, dtype,
                           out + begin * rows.dim * base::item_size(dtype));
      });
}

std::unique_ptr<RowReader> make_float_reader(const std::byte* values, base::DType dtype,
                                             std::int64_t rows, std::int64_t dim) {
  const auto make = [&]<base::DType kType>() -> std::unique_ptr<RowReader> {
    using Chunks = FloatChunks<kType>;
    return std::make_unique<ChunkReader<Chunks>>(rows, dim, Chunks{values, dim});
  };
  return dtype == base::DType::kFloat16 ? make.operator()<base::DType::kFloat16>()
                                        : make.operator()<base::DType::kFloat32>();
}

}  // namespace emcomp::readers
