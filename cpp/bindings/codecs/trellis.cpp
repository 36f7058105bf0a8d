#include "emcomp/codes/trellis.hpp"

#include <limits>
#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/readers/stored_trellis.hpp"
#include "emcomp/statistics/row_lengths.hpp"

namespace emcomp::bindings {

namespace {

using codes::TrellisCode;

TrellisCode make_code(int window, const DenseArray<std::uint8_t>& widths,
                      const DenseArray<float>& factors,
                      const std::optional<DenseArray<float>>& offset,
                      const DenseArray<float>& tables, const DenseArray<float>& gains) {
  TrellisCode code;
  code.window = window;
  code.widths.assign(widths.data(), widths.data() + widths.size());
  code.factors.assign(factors.data(), factors.data() + factors.size());
  if (offset) code.offset.assign(offset->data(), offset->data() + offset->size());
  const bool has_bits = window >= 1 && window <= codes::kLongestWindow;
  if (!has_bits || widths.size() < 1 || factors.size() != widths.size() ||
      (offset && offset->size() != widths.size()) || gains.size() != codes::kGainCodes ||
      tables.size() != codes::kWidestTrellis * code.states()) {
    throw py::type_error("the parts of a trellis code do not fit each other");
  }
  for (const std::uint8_t width : code.widths) {
    if (width > codes::kWidestTrellis || width > window)
      throw py::type_error("a width is too large");
  }
  if (code.code_bits() < window) throw py::type_error("a row must have the bits of a window");
  code.tables.assign(tables.data(), tables.data() + tables.size());
  std::copy_n(gains.data(), gains.size(), code.gains.begin());
  return code;
}

template <class T>
std::span<const T> values_of(const DenseArray<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

TrellisCode stored_code(const std::string& codec, const DenseArray<std::uint8_t>& widths,
                        const DenseArray<std::uint8_t>& scales,
                        const DenseArray<std::int64_t>& grid,
                        const std::optional<DenseArray<float>>& offset,
                        const DenseArray<std::uint8_t>& tables, const DenseArray<float>& steps,
                        const py::array& wide_tables) {
  if (dtype_of(wide_tables.dtype()) != base::DType::kFloat16 ||
      !(wide_tables.flags() & py::array::c_style)) {
    throw py::type_error("wide_tables must be dense float16");
  }
  return readers::make_trellis_code(
      {.widths = values_of(widths),
       .scales = values_of(scales),
       .grid = values_of(grid),
       .offset = offset ? values_of(*offset) : std::span<const float>(),
       .tables = values_of(tables),
       .steps = values_of(steps),
       .wide_tables = {static_cast<const std::uint16_t*>(wide_tables.data()),
                       static_cast<std::size_t>(wide_tables.size())}},
      codec);
}

// The largest values of the columns, less the offset, in rows of the largest gain; infinite where
// columns are left out.
DenseArray<float> limits(const TrellisCode& code) {
  DenseArray<float> found(code.dim());
  for (std::int64_t c = 0; c < code.dim(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    const float* table = code.table(code.widths[at]);
    float largest = 0.0f;
    for (std::int64_t w = 0; w < code.states(); ++w) largest = std::max(largest, table[w]);
    found.mutable_data()[c] = code.factors[at] > 0.0f
                                  ? largest * (code.factors[at] * code.gains.back())
                                  : std::numeric_limits<float>::infinity();
  }
  return found;
}

void check_rows(const TrellisCode& code, const base::MatrixView& rows) {
  if (rows.dim != code.dim()) throw py::type_error("rows must have as many entries as the code");
}

void encode(const TrellisCode& code, const py::array& rows, std::int64_t reach,
            DenseArray<std::uint8_t>& packed, int threads) {
  const base::MatrixView view = matrix_view(rows);
  check_rows(code, view);
  if (packed.ndim() != 2 || packed.shape(0) != view.rows || packed.shape(1) != code.row_bytes()) {
    throw py::type_error("packed must have shape (rows, row_bytes)");
  }
  std::uint8_t* to = packed.mutable_data();
  const py::gil_scoped_release release;
  codes::encode_trellis(view, code, reach, to, threads);
}

py::tuple sums(const TrellisCode& code, const py::array& rows, std::int64_t reach, int threads) {
  const base::MatrixView view = matrix_view(rows);
  check_rows(code, view);
  const auto entries = static_cast<py::ssize_t>(code.tables.size());
  DenseArray<double> weights(entries);
  DenseArray<double> values(entries);
  const std::span<double> weight_span(weights.mutable_data(), code.tables.size());
  const std::span<double> value_span(values.mutable_data(), code.tables.size());
  {
    const py::gil_scoped_release release;
    std::fill(weight_span.begin(), weight_span.end(), 0.0);
    std::fill(value_span.begin(), value_span.end(), 0.0);
    codes::add_trellis_sums(view, code, reach, {.weights = weight_span, .values = value_span},
                            threads);
  }
  return py::make_tuple(weights, values);
}

void add_squares(const py::array& rows, const std::optional<DenseArray<float>>& centre, int threads,
                 DenseArray<double>& squares, DenseArray<double>& lengths) {
  const base::MatrixView view = matrix_view(rows);
  if ((centre && centre->size() != view.dim) || squares.size() != view.dim ||
      lengths.size() != statistics::kLengthBins) {
    throw py::type_error("centre, squares and lengths must fit the rows");
  }
  const std::span<const float> from =
      centre ? std::span(centre->data(), static_cast<std::size_t>(centre->size()))
             : std::span<const float>();
  const std::span<double> by_column(squares.mutable_data(), static_cast<std::size_t>(view.dim));
  const std::span<double> by_row(lengths.mutable_data(), statistics::kLengthBins);
  const py::gil_scoped_release release;
  statistics::add_squares(view, from, threads, by_column, by_row);
}

}  // namespace

void bind_trellis(py::module_& module) {
  py::class_<TrellisCode>(module, "TrellisCode", py::module_local())
      .def(py::init(&make_code), py::arg("window"), py::arg("widths").noconvert(),
           py::arg("factors").noconvert(), py::arg("offset").noconvert(),
           py::arg("tables").noconvert(), py::arg("gains").noconvert())
      .def_property_readonly("row_bytes", &TrellisCode::row_bytes, "Bytes of a row with its gain.")
      .def("limits", &limits,
           "The largest values of the columns, less the offset, in rows of the largest gain.")
      .def("encode", &encode, py::arg("rows"), py::arg("reach"), py::arg("packed").noconvert(),
           py::arg("threads"), "Encode rows into packed (rows, row_bytes).")
      .def("sums", &sums, py::arg("rows"), py::arg("reach"), py::arg("threads"),
           "Weights and weighted sums of what each entry of the tables stands for in some rows.");
  module.def("stored_trellis_code", &stored_code, py::arg("codec"), py::arg("widths").noconvert(),
             py::arg("scales").noconvert(), py::arg("grid").noconvert(),
             py::arg("offset").noconvert(), py::arg("tables").noconvert(),
             py::arg("steps").noconvert(), py::arg("wide_tables"),
             "What codes stand for, from the tensors of a table.");
  module.attr("LENGTH_BINS") = statistics::kLengthBins;
  module.attr("LENGTH_OCTAVES") = statistics::kLengthOctaves;
  module.def("add_squares", &add_squares, py::arg("rows"), py::arg("centre").noconvert(),
             py::arg("threads"), py::arg("squares").noconvert(), py::arg("lengths").noconvert(),
             "Add squares of centred entries by column, and rows by bins of their lengths.");
  module.def("power_of_two_64ths", &codes::power_of_two_64ths, py::arg("index"),
             "2^(index / 64), the same bits everywhere.");
}

}  // namespace emcomp::bindings
