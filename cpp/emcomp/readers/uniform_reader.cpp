#include "emcomp/readers/uniform_reader.hpp"

#include "emcomp/base/half.hpp"
#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/packing/packed_rows.hpp"
#include "emcomp/readers/chunk_reader.hpp"
#include "emcomp/readers/level_reader.hpp"

namespace emcomp::readers {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kLanes;

class StepValues {
 public:
  StepValues(const std::byte* data, base::DType dtype)
      : data_(data), half_(dtype == base::DType::kFloat16) {}

  float operator[](std::int64_t index) const {
    if (half_) {
      std::uint16_t bits;
      std::memcpy(&bits, data_ + index * 2, sizeof bits);
      return base::float_from_half(bits);
    }
    float value;
    std::memcpy(&value, data_ + index * 4, sizeof value);
    return value;
  }

  const std::byte* address(std::int64_t index) const { return data_ + index * (half_ ? 2 : 4); }

 private:
  const std::byte* data_;
  bool half_;
};

template <int kBits>
[[gnu::always_inline]] inline Floats scaled(const std::uint8_t* row, std::int64_t chunk,
                                            Floats step) {
  constexpr float kHalf = ((1 << kBits) - 1) / 2.0f;
  const Ints codes = simd::unpack<kBits>(row + chunk * simd::kChunkBytes<kBits>);
  return (simd::to_floats(codes) - kHalf) * step;
}

// One step for the whole matrix or for each row.
template <int kBits>
struct RowStepChunks {
  packing::PackedRows codes;
  StepValues steps;
  std::int64_t row_stride;

  struct Row {
    const std::uint8_t* bytes;
    Floats step;
  };
  Row row(std::int64_t index) const {
    return {codes.row(index), simd::broadcast(steps[index * row_stride])};
  }
  auto decoder() const {
    return [](const Row& row, std::int64_t chunk)
               __attribute__((always_inline)) { return scaled<kBits>(row.bytes, chunk, row.step); };
  }
  void prefetch(std::int64_t index) const {
    codes.prefetch(index);
    simd::prefetch(steps.address(index * row_stride));
  }
};

// One step for each column, kept as float32 and padded to whole chunks.
template <int kBits>
struct ColumnStepChunks {
  packing::PackedRows codes;
  std::vector<float> steps;

  using Row = const std::uint8_t*;
  Row row(std::int64_t index) const { return codes.row(index); }
  auto decoder() const {
    return [steps = steps.data()](Row row, std::int64_t chunk) __attribute__((always_inline)) {
      return scaled<kBits>(row, chunk, simd::load(steps + chunk * kLanes));
    };
  }
  void prefetch(std::int64_t index) const { codes.prefetch(index); }
};

// One step for each row and group of columns. Finding a chunk's steps takes longer than unpacking
// it, so that the width need not be known here.
struct GroupStepChunks {
  simd::Unpacker unpack;
  StepValues steps;
  codes::StepLayout layout;
  packing::PackedRows codes;
  float half;

  struct Row {
    const std::uint8_t* bytes;
    std::int64_t first_step;
  };
  Row row(std::int64_t index) const { return {codes.row(index), index * layout.row_stride}; }
  auto decoder() const {
    return [unpack = unpack, half = half, steps = steps, layout = layout](const Row& row,
                                                                          std::int64_t chunk) {
      const std::int64_t first = chunk * kLanes / layout.group;
      const std::int64_t last =
          std::min((chunk * kLanes + kLanes - 1) / layout.group, layout.row_stride - 1);
      Floats step = simd::broadcast(steps[row.first_step + first]);
      for (std::int64_t group = first + 1; group <= last; ++group) {
        const float next = steps[row.first_step + group];
        for (std::int64_t lane = group * layout.group - chunk * kLanes; lane < kLanes; ++lane) {
          step[lane] = next;
        }
      }
      return (simd::to_floats(unpack(row.bytes, chunk)) - half) * step;
    };
  }
  void prefetch(std::int64_t index) const {
    codes.prefetch(index);
    simd::prefetch(steps.address(index * layout.row_stride));
  }
};

// Up to this width the levels fit the registers, and looking one up is quicker than computing it.
constexpr int kRegisterBits = 5;

std::vector<float> uniform_levels(int bits, float step) {
  std::vector<float> levels(std::size_t{1} << bits);
  const float half = static_cast<float>((1 << bits) - 1) / 2.0f;
  for (std::size_t code = 0; code < levels.size(); ++code) {
    levels[code] = (static_cast<float>(code) - half) * step;
  }
  return levels;
}

}  // namespace

std::unique_ptr<RowReader> make_uniform_reader(const std::uint8_t* codes, std::int64_t rows,
                                               std::int64_t dim, int bits, codes::StepLayout layout,
                                               const std::byte* steps, base::DType step_dtype) {
  const StepValues values(steps, step_dtype);
  if (layout.group >= dim && layout.row_stride == 0 && bits <= kRegisterBits) {
    const std::vector<float> levels = uniform_levels(bits, values[0]);
    return make_level_reader(codes, rows, dim,
                             {.values = levels.data(), .group = dim, .bits = bits});
  }
  packing::PackedRows packed(codes, rows, packing::row_bytes(dim, bits));
  if (layout.group < dim && layout.row_stride > 0) {
    const float half = static_cast<float>((1 << bits) - 1) / 2.0f;
    return std::make_unique<ChunkReader<GroupStepChunks>>(
        rows, dim, GroupStepChunks{simd::Unpacker(bits), values, layout, std::move(packed), half});
  }
  return packing::for_bits(bits, [&](auto width) -> std::unique_ptr<RowReader> {
    constexpr int kBits = width;
    if (layout.group >= dim) {
      using Chunks = RowStepChunks<kBits>;
      return std::make_unique<ChunkReader<Chunks>>(
          rows, dim, Chunks{std::move(packed), values, layout.row_stride});
    }
    using Chunks = ColumnStepChunks<kBits>;
    std::vector<float> padded(static_cast<std::size_t>((dim + kLanes - 1) / kLanes * kLanes));
    for (std::int64_t c = 0; c < dim; ++c) {
      padded[static_cast<std::size_t>(c)] = values[c / layout.group];
    }
    return std::make_unique<ChunkReader<Chunks>>(rows, dim,
                                                 Chunks{std::move(packed), std::move(padded)});
  });
}

}  // namespace emcomp::readers
