#include "emcomp/readers/trellis_reader.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/packing/packed_rows.hpp"
#include "emcomp/readers/chunk_reader.hpp"
#include "emcomp/readers/trellis_bytes.hpp"
#include "emcomp/readers/trellis_windows.hpp"
#include "emcomp/simd/table.hpp"

namespace emcomp::readers {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kLanes;

// A row's codes, and its gain in all lanes.
struct CodedRow {
  const std::uint8_t* codes;
  Floats gain;
};

struct CodedRows {
  packing::PackedRows packed;
  std::array<float, codes::kGainCodes> gains{};

  CodedRow operator[](std::int64_t index) const {
    const std::uint8_t* bytes = packed.row(index);
    return {bytes + codes::kGainBytes, simd::broadcast(gains[*bytes])};
  }
};

std::vector<float> in_whole_chunks(const std::vector<float>& columns) {
  std::vector<float> padded(columns);
  padded.resize((columns.size() + kLanes - 1) / kLanes * kLanes);
  return padded;
}

template <bool kOffset>
struct TrellisChunks {
  CodedRows rows;
  std::vector<ChunkWindows> windows;
#if defined(EMCOMP_SIMD_512)
  std::vector<ChunkBytes> bytes;
  std::vector<simd::HalfByteTable> narrow_tables;
#endif
  std::vector<float> tables;
  std::vector<float> factors;  // of the columns, in whole chunks
  std::vector<float> offset;
  int window;

  TrellisChunks(const codes::TrellisCode& code, CodedRows coded)
      : rows(std::move(coded)),
        windows(chunk_windows(code)),
#if defined(EMCOMP_SIMD_512)
        bytes(chunk_bytes(code, windows)),
        narrow_tables(byte_tables(code)),
#endif
        tables(code.tables),
        factors(in_whole_chunks(code.factors)),
        offset(in_whole_chunks(code.offset)),
        window(code.window) {
  }

  using Row = CodedRow;
  Row row(std::int64_t index) const { return rows[index]; }
  [[gnu::always_inline]] Floats chunk(const Row& row, std::int64_t index) const {
    const Floats factor = simd::load(factors.data() + index * kLanes) * row.gain;
    const Floats rows = values(row.codes, static_cast<std::size_t>(index)) * factor;
    if constexpr (kOffset) return rows + simd::load(offset.data() + index * kLanes);
    return rows;
  }
  void prefetch(std::int64_t index) const { rows.packed.prefetch(index); }

 private:
  [[gnu::always_inline]] Floats values(const std::uint8_t* codes, std::size_t index) const {
#if defined(EMCOMP_SIMD_512)
    if (bytes[index].usable) {
      return simd::to_floats(byte_values(codes, bytes[index], narrow_tables.data()));
    }
#endif
    return simd::gather(tables.data(), table_places(codes, windows[index], window));
  }
};

template <bool kOffset>
std::unique_ptr<RowReader> make_reader(const std::uint8_t* packed, std::int64_t rows,
                                       const codes::TrellisCode& code) {
  CodedRows coded{packing::PackedRows(packed, rows, code.row_bytes(), kWindowBytes + 1),
                  code.gains};
  using Chunks = TrellisChunks<kOffset>;
  Chunks chunks(code, std::move(coded));
  return std::make_unique<ChunkReader<Chunks>>(rows, code.dim(), std::move(chunks));
}

}  // namespace

std::unique_ptr<RowReader> make_trellis_reader(const std::uint8_t* packed, std::int64_t rows,
                                               const codes::TrellisCode& code) {
  const bool has_offset = std::any_of(code.offset.begin(), code.offset.end(),
                                      [](float value) { return value != 0.0f; });
  return has_offset ? make_reader<true>(packed, rows, code)
                    : make_reader<false>(packed, rows, code);
}

}  // namespace emcomp::readers
