#include "emcomp/readers/additive_reader.hpp"

#include <algorithm>

#include "emcomp/packing/code_stream.hpp"
#include "emcomp/packing/packed_rows.hpp"
#include "emcomp/readers/whole_row_reader.hpp"

namespace emcomp::readers {

namespace {

struct AdditiveRows {
  packing::PackedRows codes;
  std::int64_t dim;
  std::int64_t stages;
  int bits;
  const float* codebooks;

  void decode(std::int64_t row, float* out) const {
    const std::uint8_t* packed = codes.row(row);
    const auto codeword = [&](std::int64_t stage) {
      return codebooks + ((stage << bits) + packing::read_code(packed, stage, bits)) * dim;
    };
    constexpr std::int64_t kStrip = 64;  // sums that stay in registers
    for (std::int64_t first = 0; first < dim; first += kStrip) {
      const std::int64_t width = std::min(kStrip, dim - first);
      float sums[kStrip];
      std::copy_n(codeword(0) + first, width, sums);
      for (std::int64_t stage = 1; stage < stages; ++stage) {
        const float* values = codeword(stage) + first;
        if (width == kStrip) {
          for (std::int64_t j = 0; j < kStrip; ++j) sums[j] += values[j];
        } else {
          for (std::int64_t j = 0; j < width; ++j) sums[j] += values[j];
        }
      }
      std::copy_n(sums, width, out + first);
    }
  }

  void prefetch(std::int64_t row) const { codes.prefetch(row); }
};

}  // namespace

std::unique_ptr<RowReader> make_additive_reader(const std::uint8_t* codes, std::int64_t rows,
                                                std::int64_t dim, std::int64_t stages, int bits,
                                                const float* codebooks) {
  packing::PackedRows packed(codes, rows, (stages * bits + 7) / 8);
  return std::make_unique<WholeRowReader<AdditiveRows>>(
      rows, dim, AdditiveRows{std::move(packed), dim, stages, bits, codebooks});
}

}  // namespace emcomp::readers
