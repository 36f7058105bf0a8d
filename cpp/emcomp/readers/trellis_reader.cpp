#include "emcomp/readers/trellis_reader.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/packing/packed_rows.hpp"
#include "emcomp/readers/chunk_reader.hpp"
#include "emcomp/readers/trellis_windows.hpp"
#include "emcomp/simd/byte_table.hpp"
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
  std::array<float, codes::kGainCodes> gains;

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

// Columns of any widths and scales.
template <bool kOffset>
struct WindowChunks {
  CodedRows rows;
  std::vector<ChunkWindows> windows;
  std::vector<float> tables;
  std::vector<float> factors;  // of the columns, in whole chunks
  std::vector<float> offset;
  int window;

  using Row = CodedRow;
  Row row(std::int64_t index) const { return rows[index]; }
  [[gnu::always_inline]] Floats chunk(const Row& row, std::int64_t index) const {
    const Ints places = table_places(row.codes, windows[static_cast<std::size_t>(index)], window);
    const Floats factor = simd::load(factors.data() + index * kLanes) * row.gain;
    const Floats values = simd::gather(tables.data(), places) * factor;
    if constexpr (kOffset) return values + simd::load(offset.data() + index * kLanes);
    return values;
  }
  void prefetch(std::int64_t index) const { rows.packed.prefetch(index); }
};

#if defined(EMCOMP_SIMD_512)

// Columns of one width and scale, and windows of 8 bits: the table lies in registers.
template <int kBits, bool kOffset>
struct ByteChunks {
  CodedRows rows;
  simd::ByteTable table;
  float factor;
  std::vector<float> offset;  // in whole chunks
  std::int64_t last_chunk;    // the one that reads on at the row's start
  ChunkWindows last;

  using Row = CodedRow;
  Row row(std::int64_t index) const {
    Row found = rows[index];
    found.gain *= factor;
    return found;
  }
  [[gnu::always_inline]] Floats chunk(const Row& row, std::int64_t index) const {
    const auto* from = reinterpret_cast<const __m128i*>(row.codes + index * (2 * kBits));
    __m128i bytes = _mm_loadu_si128(from);
    if (index == last_chunk) [[unlikely]]
      bytes = wrapped(row.codes, bytes);
    const __m128i words =
        _mm_shuffle_epi8(bytes, _mm_set_epi8(kBits + 7, kBits + 6, kBits + 5, kBits + 4, kBits + 3,
                                             kBits + 2, kBits + 1, kBits, 7, 6, 5, 4, 3, 2, 1, 0));
    const __m128i windows = simd::select_bits(words, _mm_set1_epi64x(0x0706050403020100 * kBits));
    const __m512i wide = _mm512_cvtepi8_epi32(table.lookup(windows));
    const Floats values = simd::to_floats(reinterpret_cast<Ints>(wide)) * row.gain;
    if constexpr (kOffset) return values + simd::load(offset.data() + index * kLanes);
    return values;
  }
  void prefetch(std::int64_t index) const { rows.packed.prefetch(index); }

 private:
  __m128i wrapped(const std::uint8_t* codes, __m128i bytes) const {
    const auto load = [](const auto* from) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    };
    return _mm_or_si128(_mm_and_si128(bytes, load(last.own[0].data())),
                        _mm_shuffle_epi8(load(codes), load(last.again[0].data())));
  }
};

bool in_registers(const codes::TrellisCode& code) {
  const auto differs = [](const auto& values) {
    return std::any_of(values.begin(), values.end(),
                       [&](auto value) { return value != values.front(); });
  };
  const float* table = code.table(code.widths.front());
  const auto whole = [](float value) {
    return value ==
           static_cast<float>(static_cast<std::int8_t>(std::clamp(value, -128.0f, 127.0f)));
  };
  return code.window == 8 && code.widths.front() > 0 && !differs(code.widths) &&
         !differs(code.factors) && std::all_of(table, table + code.states(), whole) &&
         simd::has_byte_permutes();
}

template <int kBits, bool kOffset>
std::unique_ptr<RowReader> make_byte_reader(std::int64_t rows, const codes::TrellisCode& code,
                                            CodedRows coded) {
  std::array<std::int8_t, 256> bytes;
  std::transform(code.table(kBits), code.table(kBits) + 256, bytes.begin(),
                 [](float value) { return static_cast<std::int8_t>(value); });
  using Chunks = ByteChunks<kBits, kOffset>;
  Chunks chunks{.rows = std::move(coded),
                .table = {},
                .factor = code.factors.front(),
                .offset = in_whole_chunks(code.offset),
                .last_chunk = 0,
                .last = {}};
  for (std::size_t quarter = 0; quarter < 4; ++quarter) {
    std::memcpy(&chunks.table.quarters[quarter], bytes.data() + quarter * 64, 64);
  }
  std::vector<ChunkWindows> windows = chunk_windows(code);
  chunks.last_chunk = static_cast<std::int64_t>(windows.size()) - 1;
  chunks.last = windows.back();
  return std::make_unique<ChunkReader<Chunks>>(rows, code.dim(), std::move(chunks));
}

#endif

template <bool kOffset>
std::unique_ptr<RowReader> make_reader(const std::uint8_t* packed, std::int64_t rows,
                                       const codes::TrellisCode& code) {
  CodedRows coded{packing::PackedRows(packed, rows, code.row_bytes(), kWindowBytes + 1),
                  code.gains};
#if defined(EMCOMP_SIMD_512)
  if (in_registers(code)) {
    return packing::for_bits(code.widths.front(), [&](auto width) {
      return make_byte_reader<width, kOffset>(rows, code, std::move(coded));
    });
  }
#endif
  using Chunks = WindowChunks<kOffset>;
  return std::make_unique<ChunkReader<Chunks>>(
      rows, code.dim(),
      Chunks{std::move(coded), chunk_windows(code), code.tables, in_whole_chunks(code.factors),
             in_whole_chunks(code.offset), code.window});
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
