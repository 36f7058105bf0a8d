#include "emcomp/statistics/squared_error.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"

namespace emcomp::bindings {

void bind_squared_error(py::module_& module) {
  py::class_<statistics::SquaredError>(module, "SquaredError", py::module_local())
      .def(py::init<>())
      .def(
          "update",
          [](statistics::SquaredError& sums, const py::array& table, const py::array& approximation,
             int threads) {
            const base::MatrixView x = matrix_view(table);
            const base::MatrixView decoded = matrix_view(approximation);
            if (x.rows != decoded.rows || x.dim != decoded.dim) {
              throw py::type_error("the table and its approximation have different shapes");
            }
            const py::gil_scoped_release release;
            sums.update(x, decoded, threads);
          },
          py::arg("table"), py::arg("approximation"), py::arg("threads"),
          "Add rows of a table and the same rows of its approximation.")
      .def("merge", &statistics::SquaredError::merge, py::arg("following"),
           py::call_guard<py::gil_scoped_release>(), "Add the sums of the rows that follow.")
      .def(py::pickle(
          [](const statistics::SquaredError& sums) {
            return py::make_tuple(sums.error(), sums.total());
          },
          [](const py::tuple& sums) {
            return statistics::SquaredError(py::cast<double>(sums[0]), py::cast<double>(sums[1]));
          }))
      .def_property_readonly("error", &statistics::SquaredError::error,
                             "Sum of squared differences.")
      .def_property_readonly("total", &statistics::SquaredError::total,
                             "Sum of squares of the table.");
}

}  // namespace emcomp::bindings
