#include "emcomp/file/quantizer_readers.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "emcomp/file/trellis_tensors.hpp"
#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/readers/additive_reader.hpp"
#include "emcomp/readers/column_reader.hpp"
#include "emcomp/readers/float_reader.hpp"
#include "emcomp/readers/level_reader.hpp"
#include "emcomp/readers/product_reader.hpp"
#include "emcomp/readers/transformed_reader.hpp"
#include "emcomp/readers/uniform_reader.hpp"

namespace emcomp::file {

namespace {

using ReaderPointer = std::shared_ptr<const readers::RowReader>;

const std::byte* bytes_of(const Tensor& tensor) {
  return reinterpret_cast<const std::byte*>(tensor.bytes.data());
}

ReaderPointer uniform(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  const int bits = from.bits(0, 1, 8);
  const std::string granularity = from.stage.option("granularity", "matrix");
  codes::StepLayout layout = codes::StepLayout::matrix(dim);
  Shape shape = {1};
  if (granularity == "row") {
    layout = codes::StepLayout::groups(dim, dim);
    shape = {rows};
  } else if (granularity == "column") {
    layout = codes::StepLayout::column();
    shape = {dim};
  } else if (granularity != "matrix") {
    layout = codes::StepLayout::groups(dim, from.group(dim));
    shape = {rows, layout.row_stride};
  }
  const Tensor& steps =
      layout.row_stride == 0 ? from.halves_or_floats("steps", shape) : from.tensor("steps", shape);
  return readers::make_uniform_reader(from.codes(rows, packing::row_bytes(dim, bits)), rows, dim,
                                      bits, layout, bytes_of(steps), from.dtype("steps"));
}

ReaderPointer scalar_kmeans(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  const int bits = from.bits(0, 1, 8);
  const bool whole = from.stage.option("granularity", "matrix") == "matrix";
  codes::LevelTable table{.values = nullptr, .group = whole ? dim : from.group(dim), .bits = bits};
  const std::int64_t groups = table.groups(dim);
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
  from.check(groups <= kLargest / std::max<std::int64_t>(table.count(), 16),
             "too many groups of levels");
  table.values = from.floats("levels", {groups, table.count()});
  return readers::make_level_reader(from.codes(rows, packing::row_bytes(dim, bits)), rows, dim,
                                    table);
}

ReaderPointer product(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  const int bits = from.bits(1, 2, 12);
  const codes::ProductLayout layout{.dim = dim, .parts = from.size(0, 2), .bits = bits};
  from.check(
      layout.parts >= 1 && layout.parts <= dim,
      "rows of " + std::to_string(dim) + " columns have 1 to " + std::to_string(dim) + " parts");
  const float* codebook = from.floats("codebook", {layout.codewords(), dim});
  return readers::make_product_reader(from.codes(rows, layout.row_bytes()), rows, layout, codebook);
}

ReaderPointer optimized_product(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  readers::Decoding decoding;
  decoding.map = from.dense_map(dim, dim);
  return readers::make_transformed_reader(product(from, rows, dim), std::move(decoding));
}

// Codes of each width but 0, in tensors of their own, for the columns that have it.
ReaderPointer allocated(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  constexpr int kWidest = 8;
  constexpr std::int64_t kLevels = 510;  // of all widths, 2 + 4 + ... + 256
  from.check_mean_bits(kWidest);
  from.check_dtype("widths", "U8");
  const std::uint8_t* widths = from.tensor("widths", {dim}).bytes.data();
  const int widest = *std::max_element(widths, widths + dim);
  from.check(widest >= 1 && widest <= kWidest, "tensor 'widths' must hold widths up to 8");
  const float* scales = from.floats("scales", {dim});
  const float* levels = from.floats("levels", {kLevels});
  from.check(std::all_of(scales, scales + dim, [](float scale) { return scale >= 0; }),
             "tensor 'scales' has negative entries");
  std::vector<ReaderPointer> parts;
  std::vector<std::int64_t> columns;
  std::vector<float> column_scales;
  for (int bits = 1; bits <= kWidest; ++bits) {
    const std::size_t before = columns.size();
    for (std::int64_t c = 0; c < dim; ++c) {
      if (widths[c] != bits) continue;
      columns.push_back(c);
      column_scales.push_back(scales[c]);
    }
    const auto count = static_cast<std::int64_t>(columns.size() - before);
    if (count == 0) continue;
    const codes::LevelTable table{
        .values = levels + (std::int64_t{1} << bits) - 2, .group = count, .bits = bits};
    const std::string name = "codes" + std::to_string(bits);
    from.check_dtype(name, "U8");
    const std::uint8_t* codes =
        from.tensor(name, {rows, packing::row_bytes(count, bits)}).bytes.data();
    parts.push_back(readers::make_level_reader(codes, rows, count, table));
  }
  return readers::make_column_reader(std::move(parts), columns, column_scales, dim);
}

ReaderPointer additive(const StageTensors& from, std::int64_t rows, std::int64_t dim,
                       std::int64_t stages, int bits) {
  const float* codebooks = from.floats("codebooks", {stages, std::int64_t{1} << bits, dim});
  from.check(stages >= 1, "it has no codebooks");
  return readers::make_additive_reader(from.codes(rows, (stages * bits + 7) / 8), rows, dim, stages,
                                       bits, codebooks);
}

ReaderPointer residual(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  return additive(from, rows, dim, from.size(0, 2), from.bits(1, 2, 12));
}

// Its string may give the bits of an entry only; the codebooks say what that came to.
ReaderPointer compositional(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  const Shape& shape = from.tensor("codebooks").shape;
  from.check(shape.size() == 3 && shape[1] >= 2 && shape[1] <= 256 &&
                 std::has_single_bit(static_cast<std::uint64_t>(shape[1])),
             "codebooks must have 2 to 256 codewords, a power of two");
  const bool short_form = from.stage.sizes.size() == 1;
  if (short_form) from.bits(0, 1, 8);
  from.check(short_form || Shape{from.size(0, 2), from.size(1, 2)} == Shape{shape[0], shape[1]},
             "the codebooks have the shape " + shape_text(shape));
  const int bits = std::countr_zero(static_cast<std::uint64_t>(shape[1]));
  return additive(from, rows, dim, shape[0], bits);
}

ReaderPointer floats(const StageTensors& from, std::int64_t rows, std::int64_t dim) {
  const std::int64_t bits = from.size(0, 1);
  from.check(bits == 16 || bits == 32, "floats have 16 or 32 bits");
  from.check_dtype("values", bits == 16 ? "F16" : "F32");
  const Tensor& values = from.tensor("values", {rows, dim});
  return readers::make_float_reader(bytes_of(values), from.dtype("values"), rows, dim);
}

struct Quantizer {
  std::string_view name;
  MakeReader make;
};

constexpr Quantizer kQuantizers[] = {
    {"uniform", &uniform},       {"kmeans", &scalar_kmeans}, {"pq", &product},
    {"opq", &optimized_product}, {"allocate", &allocated},   {"rq", &residual},
    {"dccl", &compositional},    {"float", &floats},         {"trellis", &trellis_codes},
};

}  // namespace

MakeReader find_quantizer(std::string_view name) {
  for (const Quantizer& quantizer : kQuantizers) {
    if (quantizer.name == name) return quantizer.make;
  }
  return nullptr;
}

}  // namespace emcomp::file
