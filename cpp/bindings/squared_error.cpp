#include "emcomp/squared_error.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"

namespace emcomp::bindings {

void bind_squared_error(py::module_& module) {
  py::class_<SquaredError>(module, "SquaredError", py::module_local())
      .def(py::init<>())
      .def(
          "update",
          [](SquaredError& sums, const py::array& table, const py::array& approximation,
             int threads) {
            const MatrixView x = matrix_view(table);
            const MatrixView decoded = matrix_view(approximation);
            if (x.rows != decoded.rows || x.dim != decoded.dim) {
              throw py::type_error("the table and its approximation have different shapes");
            }
            const py::gil_scoped_release release;
            sums.update(x, decoded, threads);
          },
          py::arg("table"), py::arg("approximation"), py::arg("threads"),
          "Add rows of a table and the same rows of its approximation.")
      .def("merge", &SquaredError::merge, py::arg("following"),
           py::call_guard<py::gil_scoped_release>(), "Add the sums of the rows that follow.")
      .def(py::pickle(
          [](const SquaredError& sums) { return py::make_tuple(sums.error(), sums.total()); },
          [](const py::tuple& sums) {
            return SquaredError(py::cast<double>(sums[0]), py::cast<double>(sums[1]));
          }))
      .def_property_readonly("error", &SquaredError::error, "Sum of squared differences.")
      .def_property_readonly("total", &SquaredError::total, "Sum of squares of the table.");
}

}  // namespace emcomp::bindings
