#include <algorithm>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/linear_map.hpp"
#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/readers/additive_reader.hpp"
#include "emcomp/readers/column_reader.hpp"
#include "emcomp/readers/concatenated_reader.hpp"
#include "emcomp/readers/float_reader.hpp"
#include "emcomp/readers/level_reader.hpp"
#include "emcomp/readers/lookup.hpp"
#include "emcomp/readers/product_reader.hpp"
#include "emcomp/readers/transformed_reader.hpp"
#include "emcomp/readers/trellis_reader.hpp"
#include "emcomp/readers/uniform_reader.hpp"

namespace emcomp::bindings {

namespace {

using Ids = DenseArray<std::int64_t>;
using Floats = DenseArray<float>;

// A core reader and the arrays it reads from.
class Reader {
 public:
  Reader(std::shared_ptr<const readers::RowReader> reader, std::vector<py::object> arrays)
      : reader_(std::move(reader)), arrays_(std::move(arrays)) {}

  const std::shared_ptr<const readers::RowReader>& core() const { return reader_; }
  const std::vector<py::object>& arrays() const { return arrays_; }

  std::int64_t rows() const { return reader_->rows(); }
  std::int64_t dim() const { return reader_->dim(); }

  Floats row(std::int64_t id) const {
    check({&id, 1});
    Floats out(reader_->dim());
    reader_->gather({&id, 1}, 0, 1, out.mutable_data());  // far too short to let go of the GIL
    return out;
  }

  void gather(const Ids& ids, py::array& out, int threads) const {
    const std::span<const std::int64_t> span(ids.data(), static_cast<std::size_t>(ids.size()));
    check(span);
    std::byte* to = destination(out, ids.size());
    const base::DType dtype = dtype_of(out.dtype());
    const py::gil_scoped_release release;
    readers::gather_rows(*reader_, span, dtype, to, threads);
  }

  void read(std::int64_t first, py::array& out, int threads) const {
    const std::int64_t count = out.ndim() == 2 ? out.shape(0) : 0;
    if (first < 0 || first + count > reader_->rows()) throw py::index_error("rows out of range");
    std::byte* to = destination(out, count);
    const base::DType dtype = dtype_of(out.dtype());
    const py::gil_scoped_release release;
    readers::read_rows(*reader_, first, count, dtype, to, threads);
  }

  void bag(const Ids& ids, const Ids& offsets, const std::optional<Floats>& weights,
           const std::string& mode, Floats& out, int threads) const {
    const std::span<const std::int64_t> id_span(ids.data(), static_cast<std::size_t>(ids.size()));
    const std::span<const std::int64_t> offset_span(offsets.data(),
                                                    static_cast<std::size_t>(offsets.size()));
    check(id_span);
    std::int64_t previous = 0;
    for (const std::int64_t offset : offset_span) {
      if (offset < previous || offset > ids.size()) {
        throw py::index_error("offsets must ascend from 0 to at most the number of ids, found " +
                              std::to_string(offset) + " after " + std::to_string(previous));
      }
      previous = offset;
    }
    if (weights && weights->size() != ids.size()) {
      throw py::type_error("weights must be as many as ids");
    }
    destination(out, offsets.size());
    const float* weight = weights ? weights->data() : nullptr;
    const readers::BagMode bag_mode = mode == "sum"    ? readers::BagMode::kSum
                                      : mode == "mean" ? readers::BagMode::kMean
                                                       : readers::BagMode::kMax;
    float* to = out.mutable_data();
    const py::gil_scoped_release release;
    readers::reduce_bags(*reader_, id_span, offset_span, weight, bag_mode, to, threads);
  }

  py::tuple similar(const Floats& queries, std::int64_t k, int threads) const {
    if (queries.ndim() != 2 || queries.shape(1) != reader_->dim()) {
      throw py::type_error("queries must have shape (queries, dim)");
    }
    const std::int64_t count = queries.shape(0);
    Ids rows({count, k});
    DenseArray<double> cosines({count, k});
    const float* from = queries.data();
    std::int64_t* to_rows = rows.mutable_data();
    double* to_cosines = cosines.mutable_data();
    {
      const py::gil_scoped_release release;
      readers::most_similar(*reader_, from, count, k, to_rows, to_cosines, threads);
    }
    return py::make_tuple(rows, cosines);
  }

 private:
  void check(std::span<const std::int64_t> ids) const {
    const std::int64_t bad = readers::find_bad_id(ids, reader_->rows());
    if (bad < 0) return;
    std::string message = "row " + std::to_string(ids[static_cast<std::size_t>(bad)]) +
                          " is out of range for a table of " + std::to_string(reader_->rows()) +
                          " rows";
    if (ids.size() > 1) message += " (at position " + std::to_string(bad) + " of the ids)";
    throw py::index_error(message);
  }

  std::byte* destination(py::array& out, py::ssize_t count) const {
    const bool fits = out.size() == count * reader_->dim() && (out.flags() & py::array::c_style);
    if (!fits) throw py::type_error("out must be C-contiguous with dim entries for each row");
    return static_cast<std::byte*>(out.mutable_data());
  }

  std::shared_ptr<const readers::RowReader> reader_;
  std::vector<py::object> arrays_;
};

Reader uniform_reader(const DenseArray<std::uint8_t>& codes, std::int64_t dim, int bits,
                      std::int64_t group, const py::array& steps, bool by_row) {
  const std::int64_t rows = codes.ndim() == 2 ? codes.shape(0) : 0;
  const std::int64_t groups = (dim + group - 1) / group;
  if (rows < 1 || codes.shape(1) != packing::row_bytes(dim, bits)) {
    throw py::type_error("codes must have shape (rows, row_bytes(dim, bits))");
  }
  const base::DType dtype = dtype_of(steps.dtype());
  if (steps.size() != (by_row ? rows * groups : groups) ||
      (dtype != base::DType::kFloat16 && dtype != base::DType::kFloat32) ||
      !(steps.flags() & py::array::c_style)) {
    throw py::type_error("steps must be dense float16 or float32 and fit the layout");
  }
  return Reader(readers::make_uniform_reader(codes.data(), rows, dim, bits,
                                             {.group = group, .row_stride = by_row ? groups : 0},
                                             static_cast<const std::byte*>(steps.data()), dtype),
                {codes, steps});
}

Reader float_reader(const py::array& values) {
  const base::DType dtype = dtype_of(values.dtype());
  if (values.ndim() != 2 || values.shape(0) < 1 || values.shape(1) < 1 ||
      (dtype != base::DType::kFloat16 && dtype != base::DType::kFloat32) ||
      !(values.flags() & py::array::c_style)) {
    throw py::type_error("values must be dense float16 or float32 of shape (rows, dim)");
  }
  return Reader(readers::make_float_reader(static_cast<const std::byte*>(values.data()), dtype,
                                           values.shape(0), values.shape(1)),
                {values});
}

Reader transformed_reader(const Reader& latents, const PyLinearMap& decoder, bool orthonormal,
                          const std::optional<Floats>& offset,
                          const std::optional<py::array>& scales, float gain, bool elu) {
  readers::Decoding decoding;
  decoding.elu = elu;
  decoding.map = decoder.map;
  decoding.orthonormal = orthonormal;
  decoding.gain = gain;
  std::vector<py::object> arrays = latents.arrays();
  if (decoder.map->inputs() != latents.dim()) {
    throw py::type_error("the decoder must take as many latents as the reader gives");
  }
  if (offset) {
    if (offset->size() != decoder.map->outputs()) {
      throw py::type_error("offset must have one entry for each output of the decoder");
    }
    decoding.offset.assign(offset->data(), offset->data() + offset->size());
  }
  if (scales) {
    if (scales->size() != latents.rows() || dtype_of(scales->dtype()) != base::DType::kFloat16 ||
        !(scales->flags() & py::array::c_style)) {
      throw py::type_error("scales must be dense float16, one for each row");
    }
    decoding.scales = static_cast<const std::uint16_t*>(scales->data());
    arrays.push_back(*scales);
  }
  return Reader(readers::make_transformed_reader(latents.core(), std::move(decoding)),
                std::move(arrays));
}

Reader level_reader(const DenseArray<std::uint8_t>& codes, std::int64_t dim, int bits,
                    std::int64_t group, const Floats& levels) {
  const codes::LevelTable table{.values = levels.data(), .group = group, .bits = bits};
  const std::int64_t rows = codes.ndim() == 2 ? codes.shape(0) : 0;
  if (rows < 1 || codes.shape(1) != packing::row_bytes(dim, bits)) {
    throw py::type_error("codes must have shape (rows, row_bytes(dim, bits))");
  }
  if (levels.size() != table.groups(dim) * table.count()) {
    throw py::type_error("levels must have shape (groups, 2**bits)");
  }
  return Reader(readers::make_level_reader(codes.data(), rows, dim, table), {codes});
}

Reader column_reader(const std::vector<const Reader*>& parts, const Ids& columns,
                     const Floats& scales, std::int64_t dim) {
  std::vector<std::shared_ptr<const readers::RowReader>> readers;
  std::vector<py::object> arrays;
  std::int64_t width = 0;
  for (const Reader* part : parts) {
    if (part->rows() != parts.front()->rows()) throw py::type_error("parts differ in rows");
    width += part->dim();
    readers.push_back(part->core());
    arrays.insert(arrays.end(), part->arrays().begin(), part->arrays().end());
  }
  const std::span<const std::int64_t> to(columns.data(), static_cast<std::size_t>(columns.size()));
  const auto inside = [&](std::int64_t column) { return 0 <= column && column < dim; };
  if (parts.empty() || columns.size() != width || scales.size() != width ||
      !std::all_of(to.begin(), to.end(), inside)) {
    throw py::type_error("columns and scales must fit the parts and the dimension");
  }
  return Reader(readers::make_column_reader(std::move(readers), to,
                                            {scales.data(), static_cast<std::size_t>(width)}, dim),
                std::move(arrays));
}

Reader product_reader(const DenseArray<std::uint8_t>& codes, std::int64_t parts, int bits,
                      const Floats& codebook) {
  const codes::ProductLayout layout = {
      .dim = codebook.ndim() == 2 ? codebook.shape(1) : 0, .parts = parts, .bits = bits};
  const std::int64_t rows = codes.ndim() == 2 ? codes.shape(0) : 0;
  if (bits < 1 || bits > 12 || parts < 1 || parts > layout.dim ||
      codebook.shape(0) != layout.codewords()) {
    throw py::type_error("codebook must have shape (2**bits, dim), with dim at least parts");
  }
  if (rows < 1 || codes.shape(1) != layout.row_bytes()) {
    throw py::type_error("codes must have shape (rows, (parts * bits + 7) // 8)");
  }
  return Reader(readers::make_product_reader(codes.data(), rows, layout, codebook.data()), {codes});
}

Reader additive_reader(const DenseArray<std::uint8_t>& codes, int bits, const Floats& codebooks) {
  if (bits < 1 || bits > 12 || codebooks.ndim() != 3 || codebooks.size() == 0 ||
      codebooks.shape(1) != 1 << bits) {
    throw py::type_error("codebooks must have shape (stages, 2**bits, dim)");
  }
  const std::int64_t stages = codebooks.shape(0);
  const std::int64_t rows = codes.ndim() == 2 ? codes.shape(0) : 0;
  if (rows < 1 || codes.shape(1) != (stages * bits + 7) / 8) {
    throw py::type_error("codes must have shape (rows, (stages * bits + 7) // 8)");
  }
  return Reader(readers::make_additive_reader(codes.data(), rows, codebooks.shape(2), stages, bits,
                                              codebooks.data()),
                {codes, codebooks});
}

Reader trellis_reader(const DenseArray<std::uint8_t>& codes, const codes::TrellisCode& code) {
  const std::int64_t rows = codes.ndim() == 2 ? codes.shape(0) : 0;
  if (rows < 1 || codes.shape(1) != code.row_bytes()) {
    throw py::type_error("codes must have shape (rows, row_bytes)");
  }
  return Reader(readers::make_trellis_reader(codes.data(), rows, code), {codes});
}

Reader concatenated_reader(const std::vector<Reader>& parts) {
  std::vector<std::shared_ptr<const readers::RowReader>> readers;
  std::vector<py::object> arrays;
  for (const Reader& part : parts) {
    if (part.dim() != parts.front().dim()) throw py::type_error("parts must have one dimension");
    readers.push_back(part.core());
    arrays.insert(arrays.end(), part.arrays().begin(), part.arrays().end());
  }
  if (readers.empty()) throw py::type_error("there must be at least one part");
  return Reader(readers::make_concatenated_reader(std::move(readers)), std::move(arrays));
}

}  // namespace

void bind_row_reader(py::module_& module) {
  py::class_<Reader>(module, "Reader", py::module_local())
      .def_property_readonly("rows", &Reader::rows)
      .def_property_readonly("dim", &Reader::dim)
      .def("row", &Reader::row, py::arg("row_id"), "One row, float32 (dim,).")
      .def("gather", &Reader::gather, py::arg("ids").noconvert(), py::arg("out").noconvert(),
           py::arg("threads"), "Rows of int64 ids, of any shape, into out.")
      .def("read", &Reader::read, py::arg("first"), py::arg("out").noconvert(), py::arg("threads"),
           "Rows [first, first + len(out)) into out.")
      .def("bag", &Reader::bag, py::arg("ids").noconvert(), py::arg("offsets").noconvert(),
           py::arg("weights").noconvert(), py::arg("mode"), py::arg("out").noconvert(),
           py::arg("threads"), "Sums, means or maxima of bags of rows into out (bags, dim).")
      .def("similar", &Reader::similar, py::arg("queries").noconvert(), py::arg("k"),
           py::arg("threads"), "Rows and cosines (queries, k) of the nearest rows.");
  module.def("uniform_reader", &uniform_reader, py::arg("codes").noconvert(), py::arg("dim"),
             py::arg("bits"), py::arg("group"), py::arg("steps"), py::arg("by_row"),
             "A reader of uniformly quantized rows; keeps its arrays alive.");
  module.def("float_reader", &float_reader, py::arg("values").noconvert(),
             "A reader of rows kept as floats; keeps them alive.");
  module.def("transformed_reader", &transformed_reader, py::arg("latents"), py::arg("decoder"),
             py::arg("orthonormal"), py::arg("offset").noconvert(), py::arg("scales").noconvert(),
             py::arg("gain"), py::arg("elu"), "A reader of rows over a reader of their latents.");
  module.def(
      "convert_rows",
      [](const py::array& rows, py::array& out, int threads) {
        const base::MatrixView view = matrix_view(rows);
        const base::DType dtype = dtype_of(out.dtype());
        if (out.size() != view.rows * view.dim || !(out.flags() & py::array::c_style)) {
          throw py::type_error("out must be dense and as large as the rows");
        }
        auto* to = static_cast<std::byte*>(out.mutable_data());
        const py::gil_scoped_release release;
        readers::convert_rows(view, dtype, to, threads);
      },
      py::arg("rows"), py::arg("out").noconvert(), py::arg("threads"), "Rows as the type of out.");
  module.def("level_reader", &level_reader, py::arg("codes").noconvert(), py::arg("dim"),
             py::arg("bits"), py::arg("group"), py::arg("levels").noconvert(),
             "A reader of rows whose codes index levels (groups, 2**bits); keeps codes alive.");
  module.def("column_reader", &column_reader, py::arg("parts"), py::arg("columns").noconvert(),
             py::arg("scales").noconvert(), py::arg("dim"),
             "A reader of rows whose columns are those of several readers, scaled.");
  module.def("product_reader", &product_reader, py::arg("codes").noconvert(), py::arg("parts"),
             py::arg("bits"), py::arg("codebook").noconvert(),
             "A reader of product-quantized rows; keeps the codes alive.");
  module.def("additive_reader", &additive_reader, py::arg("codes").noconvert(), py::arg("bits"),
             py::arg("codebooks").noconvert(),
             "A reader of rows that are sums of codewords; keeps its arrays alive.");
  module.def("trellis_reader", &trellis_reader, py::arg("codes").noconvert(), py::arg("code"),
             "A reader of rows coded by a trellis; keeps the codes alive.");
  module.def("concatenated_reader", &concatenated_reader, py::arg("parts"),
             "A reader of the rows of several readers, one after another.");
}

}  // namespace emcomp::bindings
