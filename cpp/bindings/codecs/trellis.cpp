#include "emcomp/codes/trellis.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/codes/row_places.hpp"
#include "emcomp/codes/trellis_classes.hpp"
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
  const bool has_bits = window >= 1 && window <= codes::kLongestWindow;
  if (!has_bits || widths.ndim() != 2 || widths.size() == 0 || factors.ndim() != 2 ||
      factors.shape(0) != widths.shape(0) || factors.shape(1) != widths.shape(1) ||
      widths.shape(0) > codes::kMostClasses || (offset && offset->size() != widths.shape(1)) ||
      gains.size() != codes::kGainCodes || tables.size() != codes::kWidestTrellis * code.states()) {
    throw py::type_error("the parts of a trellis code do not fit each other");
  }
  for (py::ssize_t c = 0; c < widths.shape(0); ++c) {
    codes::TrellisLayout layout;
    layout.widths.assign(widths.data(c), widths.data(c) + widths.shape(1));
    layout.factors.assign(factors.data(c), factors.data(c) + widths.shape(1));
    for (const std::uint8_t width : layout.widths) {
      if (width > codes::kWidestTrellis || width > window) {
        throw py::type_error("a width is too large");
      }
    }
    if (layout.own_bits() > 0 && layout.code_bits() < window) {
      throw py::type_error("a row must have the bits of a window");
    }
    code.layouts.push_back(std::move(layout));
  }
  if (offset) code.offset.assign(offset->data(), offset->data() + offset->size());
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
      {.classes = static_cast<std::size_t>(widths.ndim() == 2 ? widths.shape(0) : 0),
       .widths = values_of(widths),
       .scales = values_of(scales),
       .grid = values_of(grid),
       .offset = offset ? values_of(*offset) : std::span<const float>(),
       .tables = values_of(tables),
       .steps = values_of(steps),
       .wide_tables = {static_cast<const std::uint16_t*>(wide_tables.data()),
                       static_cast<std::size_t>(wide_tables.size())}},
      codec);
}

// The largest values of the columns, less the offset, in rows of the largest gain of any class;
// infinite where columns are left out of all of them.
DenseArray<float> limits(const TrellisCode& code) {
  DenseArray<float> found(code.dim());
  for (std::int64_t c = 0; c < code.dim(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    float most = 0.0f;
    for (const codes::TrellisLayout& layout : code.layouts) {
      const float* table = code.table(layout.widths[at]);
      const float largest = *std::max_element(table, table + code.states());
      most = std::max(most, largest * (layout.factors[at] * code.gains.back()));
    }
    found.mutable_data()[c] = most > 0.0f ? most : std::numeric_limits<float>::infinity();
  }
  return found;
}

using RowClasses = std::optional<DenseArray<std::uint8_t>>;

codes::ClassifiedRows classified(const TrellisCode& code, const py::array& rows,
                                 const RowClasses& classes) {
  codes::ClassifiedRows found{matrix_view(rows), {}};
  if (found.rows.dim != code.dim()) {
    throw py::type_error("rows must have as many entries as the code");
  }
  if (classes) {
    found.classes = values_of(*classes);
    const bool fit = classes->size() == found.rows.rows &&
                     std::all_of(found.classes.begin(), found.classes.end(),
                                 [&](std::uint8_t c) { return c < code.layouts.size(); });
    if (!fit) throw py::type_error("classes must be one of the code's for each row");
  }
  return found;
}

std::vector<std::int64_t> row_lengths(const TrellisCode& code) {
  std::vector<std::int64_t> lengths;
  for (const codes::TrellisLayout& layout : code.layouts) lengths.push_back(layout.row_bytes());
  return lengths;
}

void encode(const TrellisCode& code, const py::array& rows, const RowClasses& classes,
            std::int64_t reach, DenseArray<std::uint8_t>& packed, int threads) {
  const codes::ClassifiedRows some = classified(code, rows, classes);
  const std::vector<std::int64_t> lengths = row_lengths(code);
  std::int64_t bytes = 0;
  for (std::int64_t r = 0; r < some.rows.rows; ++r) bytes += lengths[some.class_of(r)];
  if (packed.size() != bytes) throw py::type_error("packed must have the bytes of the rows");
  std::uint8_t* to = packed.mutable_data();
  const py::gil_scoped_release release;
  codes::encode_trellis(some, code, reach, to, threads);
}

py::tuple sums(const TrellisCode& code, const py::array& rows, const RowClasses& classes,
               std::int64_t reach, const DenseArray<double>& class_weights, int threads) {
  const codes::ClassifiedRows some = classified(code, rows, classes);
  if (class_weights.size() != static_cast<py::ssize_t>(code.layouts.size())) {
    throw py::type_error("there must be a weight for each class");
  }
  const auto entries = static_cast<py::ssize_t>(code.tables.size());
  DenseArray<double> weights(entries);
  DenseArray<double> values(entries);
  const std::span<double> weight_span(weights.mutable_data(), code.tables.size());
  const std::span<double> value_span(values.mutable_data(), code.tables.size());
  const std::span<const double> of_classes = values_of(class_weights);
  {
    const py::gil_scoped_release release;
    std::fill(weight_span.begin(), weight_span.end(), 0.0);
    std::fill(value_span.begin(), value_span.end(), 0.0);
    codes::add_trellis_sums(some, code, reach, of_classes,
                            {.weights = weight_span, .values = value_span}, threads);
  }
  return py::make_tuple(weights, values);
}

std::span<const float> offset_of(const std::optional<DenseArray<float>>& offset,
                                 const base::MatrixView& rows) {
  if (!offset) return {};
  if (offset->size() != rows.dim) throw py::type_error("the offset must fit the rows");
  return values_of(*offset);
}

codes::TrellisClasses make_classes(const DenseArray<std::int64_t>& ends,
                                   const DenseArray<double>& prices,
                                   const DenseArray<double>& costs) {
  codes::TrellisClasses classes;
  classes.ends.assign(ends.data(), ends.data() + ends.size());
  classes.prices.assign(prices.data(), prices.data() + prices.size());
  classes.costs.assign(costs.data(), costs.data() + costs.size());
  const bool ascending = std::is_sorted(classes.ends.begin(), classes.ends.end());
  if (classes.ends.empty() || !ascending || classes.ends.front() < 1 || classes.costs.empty() ||
      classes.count() > codes::kMostClasses ||
      classes.prices.size() != classes.count() * classes.groups()) {
    throw py::type_error("prices must have shape (classes, groups)");
  }
  return classes;
}

void check_groups(const codes::TrellisClasses& classes, const base::MatrixView& rows) {
  if (classes.ends.back() != rows.dim) throw py::type_error("the groups must fit the rows");
}

DenseArray<std::uint8_t> choose(const codes::TrellisClasses& classes, const py::array& rows,
                                const std::optional<DenseArray<float>>& offset, int threads) {
  const base::MatrixView view = matrix_view(rows);
  check_groups(classes, view);
  const std::span<const float> centre = offset_of(offset, view);
  DenseArray<std::uint8_t> chosen(view.rows);
  std::uint8_t* to = chosen.mutable_data();
  {
    const py::gil_scoped_release release;
    codes::choose_classes(view, centre, classes, to, threads);
  }
  return chosen;
}

void add_class_sums(const codes::TrellisClasses& classes, const py::array& rows,
                    const std::optional<DenseArray<float>>& offset, double power, int threads,
                    DenseArray<double>& squares, DenseArray<double>& counts,
                    DenseArray<double>& weights) {
  const base::MatrixView view = matrix_view(rows);
  check_groups(classes, view);
  const std::span<const float> centre = offset_of(offset, view);
  const auto count = static_cast<py::ssize_t>(classes.count());
  if (squares.size() != count * view.dim || counts.size() != count || weights.size() != count) {
    throw py::type_error("the sums must fit classes and rows");
  }
  const auto span = [](DenseArray<double>& array) {
    return std::span<double>(array.mutable_data(), static_cast<std::size_t>(array.size()));
  };
  const codes::ClassSums sums{
      .squares = span(squares), .rows = span(counts), .weights = span(weights)};
  const py::gil_scoped_release release;
  codes::add_class_sums(view, centre, classes, power, sums, threads);
}

DenseArray<std::uint8_t> row_places(const DenseArray<std::uint8_t>& classes,
                                    const DenseArray<std::int64_t>& lengths) {
  const std::span<const std::uint8_t> of_rows = values_of(classes);
  const bool known = std::all_of(of_rows.begin(), of_rows.end(),
                                 [&](std::uint8_t c) { return c < lengths.size(); });
  if (!known || lengths.size() > codes::kMostClasses) {
    throw py::type_error("classes must have lengths, 16 at most");
  }
  DenseArray<std::uint8_t> records({static_cast<py::ssize_t>(codes::place_records(classes.size())),
                                    static_cast<py::ssize_t>(codes::kRecordBytes)});
  codes::write_places(of_rows, values_of(lengths), 0, records.mutable_data());
  return records;
}

void add_squares(const py::array& rows, const std::optional<DenseArray<float>>& centre, int threads,
                 DenseArray<double>& squares, DenseArray<double>& lengths) {
  const base::MatrixView view = matrix_view(rows);
  const std::span<const float> from = offset_of(centre, view);
  if (squares.size() != view.dim || lengths.size() != statistics::kLengthBins) {
    throw py::type_error("squares and lengths must fit the rows");
  }
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
      .def_property_readonly("row_lengths", &row_lengths,
                             "Bytes of rows with their gains, by class.")
      .def("limits", &limits,
           "The largest values of the columns, less the offset, in rows of the largest gain.")
      .def("encode", &encode, py::arg("rows"), py::arg("classes").noconvert(), py::arg("reach"),
           py::arg("packed").noconvert(), py::arg("threads"),
           "Encode rows into packed, one after another.")
      .def("sums", &sums, py::arg("rows"), py::arg("classes").noconvert(), py::arg("reach"),
           py::arg("class_weights").noconvert(), py::arg("threads"),
           "Weights and weighted sums of what each entry of the tables stands for in some rows.");
  py::class_<codes::TrellisClasses>(module, "TrellisClasses", py::module_local())
      .def(py::init(&make_classes), py::arg("ends").noconvert(), py::arg("prices").noconvert(),
           py::arg("costs").noconvert())
      .def("choose", &choose, py::arg("rows"), py::arg("offset").noconvert(), py::arg("threads"),
           "The classes of rows, uint8 (rows,).")
      .def("add_sums", &add_class_sums, py::arg("rows"), py::arg("offset").noconvert(),
           py::arg("power"), py::arg("threads"), py::arg("squares").noconvert(),
           py::arg("counts").noconvert(), py::arg("weights").noconvert(),
           "Add squares of the entries, numbers and weights of the rows of each class.");
  module.def("row_places", &row_places, py::arg("classes").noconvert(),
             py::arg("lengths").noconvert(),
             "Where rows of classes of such lengths begin, uint8 (records, 64).");
  module.attr("RECORD_ROWS") = codes::kRecordRows;
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
