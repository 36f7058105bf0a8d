// Cosine neighbours and chosen rows of a table.

#include "emcomp/statistics/neighbours.hpp"

#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"

namespace emcomp::bindings {

namespace {

using Indices = DenseArray<std::int64_t>;

void bind_add_neighbours(py::module_& module) {
  module.def(
      "add_neighbours",
      [](const py::array& rows, const std::optional<DenseArray<double>>& centre, std::int64_t first,
         const std::string& name, const DenseArray<float>& queries, const Indices& query_index,
         int threads, DenseArray<float>& cosines, Indices& index) {
        const base::MatrixView view = matrix_view(rows);
        if (centre && centre->size() != view.dim) throw InputError("centre has the wrong size");
        if (queries.ndim() != 2 || queries.shape(1) != view.dim ||
            query_index.size() != queries.shape(0)) {
          throw InputError("queries must have shape (queries, dim), one index each");
        }
        if (cosines.ndim() != 2 || cosines.shape(0) != queries.shape(0) || cosines.shape(1) < 1 ||
            index.size() != cosines.size()) {
          throw InputError("cosines and index must have shape (queries, count)");
        }
        const statistics::Neighbours neighbours{
            {cosines.mutable_data(), static_cast<std::size_t>(cosines.size())},
            {index.mutable_data(), static_cast<std::size_t>(index.size())},
            cosines.shape(1)};
        const auto shift = centre ? entries(*centre) : std::span<const double>();
        const py::gil_scoped_release release;
        statistics::add_neighbours(view, shift, first, name.c_str(), entries(queries),
                                   entries(query_index), threads, neighbours);
      },
      py::arg("rows"), py::arg("centre"), py::arg("first"), py::arg("name"), py::arg("queries"),
      py::arg("query_index"), py::arg("threads"), py::arg("cosines").noconvert(),
      py::arg("index").noconvert());
}

}  // namespace

void bind_neighbours(py::module_& module) {
  bind_add_neighbours(module);
  module.def(
      "gather_rows",
      [](const py::array& rows, const Indices& index, std::int64_t first, const std::string& name) {
        const base::MatrixView view = matrix_view(rows);
        for (const std::int64_t row : entries(index)) {
          if (row < 0 || row >= view.rows) throw InputError("a row index is out of range");
        }
        DenseArray<double> out({static_cast<py::ssize_t>(index.size()), view.dim});
        double* target = out.mutable_data();
        const py::gil_scoped_release release;
        statistics::copy_checked_rows(view, entries(index), first, name.c_str(), target);
        return out;
      },
      py::arg("rows"), py::arg("index"), py::arg("first"), py::arg("name"));
}

}  // namespace emcomp::bindings
