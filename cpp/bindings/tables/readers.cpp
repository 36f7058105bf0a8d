#include "bindings/tables/readers.hpp"

#include <pybind11/stl.h>

#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/file/codec_reader.hpp"
#include "emcomp/readers/concatenated_reader.hpp"
#include "emcomp/readers/float_reader.hpp"
#include "emcomp/readers/lookup.hpp"

namespace emcomp::bindings {

Reader::Floats Reader::row(std::int64_t id) const {
  check({&id, 1});
  Floats out(reader_->dim());
  reader_->gather({&id, 1}, 0, 1, out.mutable_data());  // far too short to release the GIL
  return out;
}

void Reader::gather(const Ids& ids, py::array& out, int threads) const {
  const std::span<const std::int64_t> span(ids.data(), static_cast<std::size_t>(ids.size()));
  check(span);
  std::byte* to = destination(out, ids.size());
  const base::DType dtype = dtype_of(out.dtype());
  const py::gil_scoped_release release;
  readers::gather_rows(*reader_, span, dtype, to, threads);
}

void Reader::read(std::int64_t first, py::array& out, int threads) const {
  const std::int64_t count = out.ndim() == 2 ? out.shape(0) : 0;
  if (first < 0 || first + count > reader_->rows()) throw py::index_error("rows out of range");
  std::byte* to = destination(out, count);
  const base::DType dtype = dtype_of(out.dtype());
  const py::gil_scoped_release release;
  readers::read_rows(*reader_, first, count, dtype, to, threads);
}

void Reader::bag(const Ids& ids, const Ids& offsets, const std::optional<Floats>& weights,
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

py::tuple Reader::similar(const Floats& queries, std::int64_t k, int threads) const {
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

void Reader::check(std::span<const std::int64_t> ids) const {
  const std::int64_t bad = readers::find_bad_id(ids, reader_->rows());
  if (bad < 0) return;
  std::string message = "row " + std::to_string(ids[static_cast<std::size_t>(bad)]) +
                        " is out of range for a table of " + std::to_string(reader_->rows()) +
                        " rows";
  if (ids.size() > 1) message += " (at position " + std::to_string(bad) + " of the ids)";
  throw py::index_error(message);
}

std::byte* Reader::destination(py::array& out, py::ssize_t count) const {
  const bool fits = out.size() == count * reader_->dim() && (out.flags() & py::array::c_style);
  if (!fits) throw py::type_error("out must be C-contiguous with dim entries for each row");
  return static_cast<std::byte*>(out.mutable_data());
}

namespace {

std::string dtype_name(const py::dtype& dtype) {
  const std::string bits = std::to_string(8 * dtype.itemsize());
  switch (dtype.kind()) {
    case 'u':
      return "U" + bits;
    case 'i':
      return "I" + bits;
    case 'f':
      return "F" + bits;
    default:
      return py::str(dtype);
  }
}

// The tensors of a table in memory, by their names in a file.
Reader codec_reader(const std::string& codec, std::int64_t rows, std::int64_t dim,
                    const py::dict& tensors) {
  file::Tensors views;
  std::vector<py::object> owners;
  for (const auto& [name, value] : tensors) {
    auto array =
        py::array::ensure(value, py::array::c_style | int{py::detail::npy_api::NPY_ARRAY_ALIGNED_});
    if (!array || array.dtype().byteorder() == '>') {
      throw py::type_error("tensors must be arrays of the machine's byte order");
    }
    views[name.cast<std::string>()] = {.dtype = dtype_name(array.dtype()),
                                       .shape = {array.shape(), array.shape() + array.ndim()},
                                       .bytes = {static_cast<const std::uint8_t*>(array.data()),
                                                 static_cast<std::size_t>(array.nbytes())}};
    owners.push_back(std::move(array));
  }
  return Reader(file::make_codec_reader(codec, rows, dim, views), std::move(owners));
}

Reader concatenated_reader(const std::vector<Reader>& parts) {
  std::vector<std::shared_ptr<const readers::RowReader>> readers;
  std::vector<py::object> owners;
  for (const Reader& part : parts) {
    if (part.dim() != parts.front().dim()) throw py::type_error("parts must have one dimension");
    readers.push_back(part.core());
    owners.insert(owners.end(), part.owners().begin(), part.owners().end());
  }
  if (readers.empty()) throw py::type_error("there must be at least one part");
  return Reader(readers::make_concatenated_reader(std::move(readers)), std::move(owners));
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
  module.def("codec_reader", &codec_reader, py::arg("codec"), py::arg("rows"), py::arg("dim"),
             py::arg("tensors"),
             "A reader of the rows that a codec's string and its tensors make; keeps them alive.");
  module.def("concatenated_reader", &concatenated_reader, py::arg("parts"),
             "A reader of the rows of several readers, one after another.");
}

}  // namespace emcomp::bindings
