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

// How far past a row's end a vector of its bytes may go.
constexpr std::int64_t kReadBytes = 64;

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

std::vector<float> in_whole_blocks(const std::vector<float>& columns) {
  constexpr std::size_t kColumns = kChunksOfBlock * kLanes;
  std::vector<float> padded(columns);
  padded.resize((columns.size() + kColumns - 1) / kColumns * kColumns);
  return padded;
}

template <bool kOffset>
struct TrellisChunks {
  CodedRows rows;
  std::vector<ChunkWindows> windows;
#if defined(EMCOMP_BYTE_WINDOWS)
  std::vector<ByteBlock> blocks;
  std::vector<simd::ByteTable> narrow_tables;
#endif
  std::vector<float> tables;
  std::vector<float> factors;  // of the columns, in whole blocks
  std::vector<float> offset;
  int window;

  TrellisChunks(const codes::TrellisCode& code, CodedRows coded)
      : rows(std::move(coded)),
        windows(chunk_windows(code)),
#if defined(EMCOMP_BYTE_WINDOWS)
        blocks(byte_blocks(code, windows)),
        narrow_tables(byte_tables(code)),
#endif
        tables(code.tables),
        factors(in_whole_blocks(code.factors)),
        offset(in_whole_blocks(code.offset)),
        window(code.window) {
  }

  using Row = CodedRow;
  Row row(std::int64_t index) const { return rows[index]; }
  void prefetch(std::int64_t index) const { rows.packed.prefetch(index); }

  struct Decoder {
    const ChunkWindows* windows;
#if defined(EMCOMP_BYTE_WINDOWS)
    const ByteBlock* blocks;
    const simd::ByteTable* narrow_tables;
#endif
    const float* tables;
    const float* factors;
    const float* offset;
    int window;

    [[gnu::always_inline]] Floats operator()(const Row& row, std::int64_t chunk) const {
      return scaled(row, chunk,
                    simd::gather(tables, table_places(row.codes, windows[chunk], window)));
    }

#if defined(EMCOMP_BYTE_WINDOWS)
    [[gnu::always_inline]] std::array<Floats, kChunksOfBlock> four(const Row& row,
                                                                   std::int64_t chunk) const {
      const ByteBlock& block = blocks[chunk / kChunksOfBlock];
      std::array<Floats, kChunksOfBlock> values;
      if (block.usable) [[likely]] {
        const auto bytes = byte_values(row.codes, block, narrow_tables);
        for (std::size_t i = 0; i < values.size(); ++i) {
          values[i] = scaled(row, chunk + static_cast<std::int64_t>(i), simd::to_floats(bytes[i]));
        }
      } else {
        for (std::size_t i = 0; i < values.size(); ++i) {
          values[i] = (*this)(row, chunk + static_cast<std::int64_t>(i));
        }
      }
      return values;
    }
#endif

   private:
    [[gnu::always_inline]] Floats scaled(const Row& row, std::int64_t chunk, Floats values) const {
      const Floats found = values * (simd::load(factors + chunk * kLanes) * row.gain);
      if constexpr (kOffset) return found + simd::load(offset + chunk * kLanes);
      return found;
    }
  };

  Decoder decoder() const {
    return {windows.data(),
#if defined(EMCOMP_BYTE_WINDOWS)
            blocks.data(),  narrow_tables.data(),
#endif
            tables.data(),  factors.data(),       offset.data(), window};
  }
};

#if defined(EMCOMP_BYTE_WINDOWS)

// Columns of one width and scale, whose table lies in registers.
template <bool kOffset>
struct EvenChunks {
  CodedRows rows;
  std::vector<ByteBlock> blocks;
  std::vector<simd::ByteTable> tables;
  std::vector<float> offset;  // in whole blocks
  int width;
  float factor;

  EvenChunks(const codes::TrellisCode& code, CodedRows coded, std::vector<ByteBlock> found)
      : rows(std::move(coded)),
        blocks(std::move(found)),
        tables(byte_tables(code)),
        offset(in_whole_blocks(code.offset)),
        width(code.widths.front()),
        factor(code.factors.front()) {}

  using Row = CodedRow;
  Row row(std::int64_t index) const {
    Row found = rows[index];
    found.gain *= factor;
    return found;
  }
  void prefetch(std::int64_t index) const { rows.packed.prefetch(index); }

  struct Decoder {
    EvenBlocks even;
    std::int64_t last;
    const ByteBlock* last_block;
    const simd::ByteTable* tables;
    const float* offset;

    [[gnu::always_inline]] std::array<Floats, kChunksOfBlock> four(const Row& row,
                                                                   std::int64_t chunk) const {
      const std::int64_t block = chunk / kChunksOfBlock;
      const auto integers = block == last ? byte_values(row.codes, *last_block, tables)
                                          : even.values(row.codes, block);
      std::array<Floats, kChunksOfBlock> values;
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = simd::to_floats(integers[i]) * row.gain;
        if constexpr (kOffset) {
          const auto at = static_cast<std::size_t>(chunk) + i;
          values[i] += simd::load(offset + at * kLanes);
        }
      }
      return values;
    }

    Floats operator()(const Row& row, std::int64_t chunk) const {
      const std::int64_t first = chunk / kChunksOfBlock * kChunksOfBlock;
      return four(row, first)[static_cast<std::size_t>(chunk - first)];
    }
  };

  Decoder decoder() const {
    return {EvenBlocks(width, tables[static_cast<std::size_t>(width) - 1]),
            static_cast<std::int64_t>(blocks.size()) - 1, &blocks.back(), tables.data(),
            offset.data()};
  }
};

// Whether all columns have the same width and scale, and a table of bytes.
bool is_even(const codes::TrellisCode& code, const std::vector<ByteBlock>& blocks) {
  const auto differs = [](const auto& values) {
    return std::any_of(values.begin(), values.end(),
                       [&](auto value) { return value != values.front(); });
  };
  return blocks.front().usable && code.widths.front() > 0 && !differs(code.widths) &&
         !differs(code.factors);
}

#endif

template <bool kOffset>
std::unique_ptr<RowReader> make_reader(const std::uint8_t* packed, std::int64_t rows,
                                       const codes::TrellisCode& code) {
  CodedRows coded{packing::PackedRows(packed, rows, code.row_bytes(), kReadBytes), code.gains};
#if defined(EMCOMP_BYTE_WINDOWS)
  if (std::vector<ByteBlock> blocks = byte_blocks(code, chunk_windows(code));
      is_even(code, blocks)) {
    using Chunks = EvenChunks<kOffset>;
    return std::make_unique<ChunkReader<Chunks>>(rows, code.dim(),
                                                 Chunks(code, std::move(coded), std::move(blocks)));
  }
#endif
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
