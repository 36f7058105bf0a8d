#include "emcomp/file/trellis_tensors.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "emcomp/codes/row_places.hpp"
#include "emcomp/readers/stored_trellis.hpp"
#include "emcomp/readers/trellis_reader.hpp"

namespace emcomp::file {

namespace {

std::span<const std::uint8_t> bytes(const StageTensors& from, const std::string& name,
                                    const Shape& shape) {
  from.check_dtype(name, "U8");
  return from.tensor(name, shape).bytes;
}

}  // namespace

std::shared_ptr<const readers::RowReader> trellis_codes(const StageTensors& from, std::int64_t rows,
                                                        std::int64_t dim) {
  from.check_mean_bits(codes::kWidestTrellis);
  const Shape& widths = from.tensor("widths").shape;
  const Shape& tables = from.tensor("tables").shape;
  from.check(widths.size() == 2 && tables.size() == 2,
             "tensors 'widths' and 'tables' must have two dimensions");
  const std::int64_t classes = widths[0];
  const std::int64_t half = tables[1];
  constexpr std::int64_t kWide = codes::kWidestTrellis - readers::kByteTables;
  from.check_dtype("grid", "I64");
  from.check_dtype("wide_tables", "F16");
  const Tensor& grid = from.tensor("grid", {3});
  const Tensor& wide = from.halves_or_floats("wide_tables", {kWide, half});
  readers::StoredTrellis stored{
      .classes = static_cast<std::size_t>(classes),
      .widths = bytes(from, "widths", {classes, dim}),
      .scales = bytes(from, "scales", {classes, dim}),
      .grid = {reinterpret_cast<const std::int64_t*>(grid.bytes.data()), 3},
      .offset = {},
      .tables = bytes(from, "tables", {readers::kByteTables, half}),
      .steps = {from.floats("steps", {readers::kByteTables}), readers::kByteTables},
      .wide_tables = {reinterpret_cast<const std::uint16_t*>(wide.bytes.data()),
                      static_cast<std::size_t>(kWide * half)}};
  if (from.choice("centre", "mean", "none") == "mean") {
    stored.offset = {from.floats("offset", {dim}), static_cast<std::size_t>(dim)};
  }
  const codes::TrellisCode code = readers::make_trellis_code(stored, from.stage.text);
  if (classes == 1) {
    const std::int64_t row_bytes = code.layouts.front().row_bytes();
    return readers::make_trellis_reader(bytes(from, "codes", {rows, row_bytes}), nullptr, rows,
                                        code);
  }
  from.check(from.tensor("codes").shape.size() == 1 && from.tensor("unused").shape.size() == 1,
             "tensors 'codes' and 'unused' must have one dimension");
  const auto unused = bytes(from, "unused", from.tensor("unused").shape);
  from.check(std::all_of(unused.begin(), unused.end(), [](std::uint8_t byte) { return byte == 0; }),
             "tensor 'unused' must be zeros");
  const auto places = bytes(from, "places", {codes::place_records(rows), codes::kRecordBytes});
  return readers::make_trellis_reader(bytes(from, "codes", from.tensor("codes").shape),
                                      places.data(), rows, code);
}

}  // namespace emcomp::file
