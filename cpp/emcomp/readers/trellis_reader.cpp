#include "emcomp/readers/trellis_reader.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "emcomp/readers/chunk_reader.hpp"
#include "emcomp/readers/trellis_bytes.hpp"
#include "emcomp/readers/trellis_rows.hpp"
#include "emcomp/readers/trellis_windows.hpp"
#include "emcomp/simd/table.hpp"

namespace emcomp::readers {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kLanes;

std::vector<float> in_whole_blocks(const std::vector<float>& columns) {
  constexpr std::size_t kColumns = kChunksOfBlock * kLanes;
  std::vector<float> padded(columns);
  padded.resize((columns.size() + kColumns - 1) / kColumns * kColumns);
  return padded;
}

// How the rows of a class are decoded.
struct ClassLayout {
  std::vector<ChunkWindows> windows;
#if defined(EMCOMP_BYTE_WINDOWS)
  std::vector<ByteBlock> blocks;
#endif
  std::vector<float> factors;  // of the columns, in whole blocks

  ClassLayout(const codes::TrellisCode& code, const codes::TrellisLayout& layout)
      : windows(chunk_windows(code, layout)),
#if defined(EMCOMP_BYTE_WINDOWS)
        blocks(byte_blocks(code, layout, windows)),
#endif
        factors(in_whole_blocks(layout.factors)) {
  }
};

// A row's codes, and its gain in all lanes.
struct CodedRow {
  Floats gain;
  const std::uint8_t* codes;
  const ClassLayout* layout;
};

template <bool kOffset, class Rows>
struct TrellisChunks {
  Rows rows;
  std::vector<ClassLayout> layouts;
  std::vector<bool> has_bits;  // the rows of each class
#if defined(EMCOMP_BYTE_WINDOWS)
  std::vector<simd::ByteTable> narrow_tables;
#endif
  std::array<float, codes::kGainCodes> gains;
  std::vector<float> tables;
  std::vector<float> offset;
  int window;

  TrellisChunks(const codes::TrellisCode& code, Rows coded)
      : rows(std::move(coded)),
#if defined(EMCOMP_BYTE_WINDOWS)
        narrow_tables(byte_tables(code)),
#endif
        gains(code.gains),
        tables(code.tables),
        offset(in_whole_blocks(code.offset)),
        window(code.window) {
    layouts.reserve(code.layouts.size());
    for (const codes::TrellisLayout& layout : code.layouts) {
      layouts.emplace_back(code, layout);
      has_bits.push_back(layout.row_bytes() > 0);
    }
  }

  using Row = CodedRow;
  Row row(std::int64_t index) const {
    const auto [bytes, row_class] = rows[index];
    const float gain = has_bits[row_class] ? gains[*bytes] : 0.0f;
    return {simd::broadcast(gain), bytes + codes::kGainBytes, &layouts[row_class]};
  }
  void prefetch(std::int64_t index) const { rows.prefetch(index); }
  void prefetch_place(std::int64_t index) const
    requires requires(const Rows& r) { r.prefetch_place(0); }
  {
    rows.prefetch_place(index);
  }

  struct Decoder {
#if defined(EMCOMP_BYTE_WINDOWS)
    const simd::ByteTable* narrow_tables;
#endif
    const float* tables;
    const float* offset;
    int window;

    [[gnu::always_inline]] Floats operator()(const Row& row, std::int64_t chunk) const {
      return scaled(
          row, chunk,
          simd::gather(tables,
                       table_places(row.codes, row.layout->windows[static_cast<std::size_t>(chunk)],
                                    window)));
    }

#if defined(EMCOMP_BYTE_WINDOWS)
    [[gnu::always_inline]] std::array<Floats, kChunksOfBlock> four(const Row& row,
                                                                   std::int64_t chunk) const {
      const ByteBlock& block = row.layout->blocks[static_cast<std::size_t>(chunk / kChunksOfBlock)];
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
      const Floats found =
          values * (simd::load(row.layout->factors.data() + chunk * kLanes) * row.gain);
      if constexpr (kOffset) return found + simd::load(offset + chunk * kLanes);
      return found;
    }
  };

  Decoder decoder() const {
    return {
#if defined(EMCOMP_BYTE_WINDOWS)
        narrow_tables.data(),
#endif
        tables.data(), offset.data(), window};
  }
};

#if defined(EMCOMP_BYTE_WINDOWS)

// Columns of one width and scale, whose table lies in registers.
template <bool kOffset>
struct EvenChunks {
  EvenRows rows;
  std::vector<ByteBlock> blocks;
  std::vector<simd::ByteTable> tables;
  std::array<float, codes::kGainCodes> gains;  // times the columns' factor
  std::vector<float> offset;                   // in whole blocks
  int width;

  struct Row {
    const std::uint8_t* codes;
    Floats gain;
  };

  EvenChunks(const codes::TrellisCode& code, EvenRows coded, std::vector<ByteBlock> found)
      : rows(std::move(coded)),
        blocks(std::move(found)),
        tables(byte_tables(code)),
        gains(code.gains),
        offset(in_whole_blocks(code.offset)),
        width(code.layouts.front().widths.front()) {
    for (float& gain : gains) gain *= code.layouts.front().factors.front();
  }

  Row row(std::int64_t index) const {
    const std::uint8_t* bytes = rows[index].bytes;
    return {bytes + codes::kGainBytes, simd::broadcast(gains[*bytes])};
  }
  void prefetch(std::int64_t index) const { rows.prefetch(index); }

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
bool is_even(const codes::TrellisLayout& layout, const std::vector<ByteBlock>& blocks) {
  const auto differs = [](const auto& values) {
    return std::any_of(values.begin(), values.end(),
                       [&](auto value) { return value != values.front(); });
  };
  return blocks.front().usable && layout.widths.front() > 0 && !differs(layout.widths) &&
         !differs(layout.factors);
}

#endif

template <bool kOffset>
std::unique_ptr<RowReader> make_reader(std::span<const std::uint8_t> packed,
                                       const std::uint8_t* places, std::int64_t rows,
                                       const codes::TrellisCode& code) {
  const codes::TrellisLayout& first = code.layouts.front();
  if (places != nullptr) {
    std::vector<std::int64_t> lengths;
    lengths.reserve(code.layouts.size());
    for (const codes::TrellisLayout& layout : code.layouts) lengths.push_back(layout.row_bytes());
    using Chunks = TrellisChunks<kOffset, PlacedRows>;
    return std::make_unique<ChunkReader<Chunks>>(
        rows, code.dim(), Chunks(code, PlacedRows(packed, places, std::move(lengths))));
  }
  EvenRows coded(packed, rows, first.row_bytes());
#if defined(EMCOMP_BYTE_WINDOWS)
  std::vector<ByteBlock> blocks = byte_blocks(code, first, chunk_windows(code, first));
  if (is_even(first, blocks)) {
    using Chunks = EvenChunks<kOffset>;
    return std::make_unique<ChunkReader<Chunks>>(rows, code.dim(),
                                                 Chunks(code, std::move(coded), std::move(blocks)));
  }
#endif
  using Chunks = TrellisChunks<kOffset, EvenRows>;
  return std::make_unique<ChunkReader<Chunks>>(rows, code.dim(), Chunks(code, std::move(coded)));
}

}  // namespace

std::unique_ptr<RowReader> make_trellis_reader(std::span<const std::uint8_t> packed,
                                               const std::uint8_t* places, std::int64_t rows,
                                               const codes::TrellisCode& code) {
  const bool has_offset = std::any_of(code.offset.begin(), code.offset.end(),
                                      [](float value) { return value != 0.0f; });
  return has_offset ? make_reader<true>(packed, places, rows, code)
                    : make_reader<false>(packed, places, rows, code);
}

}  // namespace emcomp::readers
