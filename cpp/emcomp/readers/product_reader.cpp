#include "emcomp/readers/product_reader.hpp"

#include <cstring>

#include "emcomp/packing/code_stream.hpp"
#include "emcomp/packing/packed_rows.hpp"
#include "emcomp/readers/whole_row_reader.hpp"

namespace emcomp::readers {

namespace {

constexpr std::int64_t kUnit = 4;  // floats copied at a time

// Codewords of each part one after another, padded to `kUnits` units (any number where 0), so that
// a codeword is copied in whole units. What it writes past its part, the next part writes over.
template <int kUnits>
class ProductRows {
 public:
  ProductRows(packing::PackedRows codes, const codes::ProductLayout& layout, const float* codebook)
      : codes_(std::move(codes)), layout_(layout), padded_(units(layout) * kUnit) {
    const std::int64_t count = layout.codewords();
    codewords_.resize(static_cast<std::size_t>(layout.parts * count * padded_));
    for (std::int64_t part = 0; part < layout.parts; ++part) {
      const std::int64_t first = layout.first_column(part);
      const std::int64_t width = layout.first_column(part + 1) - first;
      for (std::int64_t c = 0; c < count; ++c) {
        std::copy_n(codebook + c * layout.dim + first, width,
                    codewords_.data() + (part * count + c) * padded_);
      }
    }
    // The last parts, whose padding would not fit into the row, are copied exactly.
    whole_parts_ = layout.parts;
    while (whole_parts_ > 0 && layout.first_column(whole_parts_ - 1) + padded_ > layout.dim) {
      --whole_parts_;
    }
  }

  static std::int64_t units(const codes::ProductLayout& layout) {
    return (layout.first_column(1) + kUnit - 1) / kUnit;
  }

  void decode(std::int64_t row, float* out) const {
    const std::uint8_t* codes = codes_.row(row);
    const std::int64_t extra = layout_.dim % layout_.parts;
    const std::int64_t width = layout_.dim / layout_.parts;
    std::int64_t part = 0;
    for (; part < whole_parts_; ++part) {
      copy_units(codeword(codes, part), out);
      out += width + (part < extra ? 1 : 0);
    }
    for (; part < layout_.parts; ++part) {
      out = std::copy_n(codeword(codes, part), width + (part < extra ? 1 : 0), out);
    }
  }

  void prefetch(std::int64_t row) const { codes_.prefetch(row); }

 private:
  const float* codeword(const std::uint8_t* codes, std::int64_t part) const {
    return codewords_.data() +
           ((part << layout_.bits) + packing::read_code(codes, part, layout_.bits)) * padded_;
  }

  void copy_units(const float* from, float* to) const {
    if constexpr (kUnits > 0) {
      std::memcpy(to, from, kUnits * kUnit * sizeof(float));
    } else {
      std::memcpy(to, from, static_cast<std::size_t>(padded_) * sizeof(float));
    }
  }

  packing::PackedRows codes_;
  codes::ProductLayout layout_;
  std::int64_t padded_;
  std::int64_t whole_parts_;
  std::vector<float> codewords_;
};

template <int kUnits>
std::unique_ptr<RowReader> make(const std::uint8_t* codes, std::int64_t rows,
                                const codes::ProductLayout& layout, const float* codebook) {
  using Rows = ProductRows<kUnits>;
  return std::make_unique<WholeRowReader<Rows>>(
      rows, layout.dim,
      Rows(packing::PackedRows(codes, rows, layout.row_bytes()), layout, codebook));
}

}  // namespace

std::unique_ptr<RowReader> make_product_reader(const std::uint8_t* codes, std::int64_t rows,
                                               const codes::ProductLayout& layout,
                                               const float* codebook) {
  switch (ProductRows<0>::units(layout)) {
    case 1:
      return make<1>(codes, rows, layout, codebook);
    case 2:
      return make<2>(codes, rows, layout, codebook);
    case 4:
      return make<4>(codes, rows, layout, codebook);
    default:
      return make<0>(codes, rows, layout, codebook);
  }
}

}  // namespace emcomp::readers
