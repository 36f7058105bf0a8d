// Gram sums of one and two tables.

#include "emcomp/statistics/gram.hpp"

#include <optional>
#include <string>
#include <utility>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"

namespace emcomp::bindings {

namespace {

using Doubles = DenseArray<double>;
using MaybeDoubles = std::optional<Doubles>;

std::span<const double> entries_or_none(const MaybeDoubles& array) {
  return array ? entries(*array) : std::span<const double>();
}

std::span<double> out_values(Doubles& array, std::int64_t size) {
  if (array.size() != size) throw InputError("an output array has the wrong size");
  return {array.mutable_data(), static_cast<std::size_t>(size)};
}

statistics::ProjectedRows projected_rows(const py::array& rows, const MaybeDoubles& centre,
                                         const MaybeDoubles& map, const std::string& name) {
  const base::MatrixView view = matrix_view(rows);
  if (centre && centre->size() != view.dim) throw InputError("centre must have one value a column");
  if (map && (map->ndim() != 2 || map->shape(0) != view.dim)) {
    throw InputError("map must have one row for each column of the table");
  }
  return {view, entries_or_none(centre), entries_or_none(map), map ? map->shape(1) : view.dim,
          name.c_str()};
}

void bind_add_gram(py::module_& module) {
  module.def(
      "add_gram",
      [](const py::array& rows, const MaybeDoubles& centre, const MaybeDoubles& map,
         const std::string& name, std::int64_t first, int threads, Doubles& gram) {
        const statistics::ProjectedRows table = projected_rows(rows, centre, map, name);
        const auto out = out_values(gram, table.width * table.width);
        const py::gil_scoped_release release;
        statistics::add_gram(table, first, threads, out);
      },
      py::arg("rows"), py::arg("centre"), py::arg("linear_map"), py::arg("name"), py::arg("first"),
      py::arg("threads"), py::arg("gram").noconvert());
}

void bind_add_pair(py::module_& module) {
  module.def(
      "add_pair",
      [](const py::array& a_rows, const MaybeDoubles& a_centre, const MaybeDoubles& a_map,
         const std::string& a_name, const py::array& b_rows, const MaybeDoubles& b_centre,
         const MaybeDoubles& b_map, const std::string& b_name, const MaybeDoubles& projection,
         std::int64_t first, int threads, Doubles& gram, Doubles& cross,
         std::optional<Doubles>& distances) {
        const statistics::ProjectedRows a = projected_rows(a_rows, a_centre, a_map, a_name);
        const statistics::ProjectedRows b = projected_rows(b_rows, b_centre, b_map, b_name);
        if (a.rows.rows != b.rows.rows) throw InputError("the tables differ in rows");
        if (projection && projection->size() != a.width * b.width) {
          throw InputError("projection must have shape (width of a, width of b)");
        }
        if (distances && a.width != b.width) throw InputError("distances need equal dimensions");
        const auto gram_out = out_values(gram, b.width * b.width);
        const auto cross_out = out_values(cross, a.width * b.width);
        const auto totals = distances ? out_values(*distances, 3) : std::span<double>();
        statistics::Distances sums;
        if (distances) sums = {totals[0], totals[1], totals[2]};
        {
          const py::gil_scoped_release release;
          statistics::add_pair(a, b, entries_or_none(projection), first, threads, gram_out,
                               cross_out, distances ? &sums : nullptr);
        }
        if (distances) {
          totals[0] = sums.squared_error;
          totals[1] = sums.euclidean;
          totals[2] = sums.cosine;
        }
      },
      py::arg("a"), py::arg("a_centre"), py::arg("a_map"), py::arg("a_name"), py::arg("b"),
      py::arg("b_centre"), py::arg("b_map"), py::arg("b_name"), py::arg("projection"),
      py::arg("first"), py::arg("threads"), py::arg("gram").noconvert(),
      py::arg("cross").noconvert(), py::arg("distances").noconvert());
}

}  // namespace

void bind_gram(py::module_& module) {
  module.attr("SUM_ROWS") = statistics::kSumRows;
  bind_add_gram(module);
  bind_add_pair(module);
  module.def(
      "add_columns",
      [](const py::array& rows, const std::string& name, std::int64_t first, int threads,
         Doubles& sums) {
        const base::MatrixView view = matrix_view(rows);
        const auto out = out_values(sums, view.dim);
        const py::gil_scoped_release release;
        statistics::add_columns(view, first, name.c_str(), threads, out);
      },
      py::arg("rows"), py::arg("name"), py::arg("first"), py::arg("threads"),
      py::arg("sums").noconvert());
}

}  // namespace emcomp::bindings
