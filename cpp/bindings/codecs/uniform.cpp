#include "emcomp/codes/uniform.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/packing/bit_packing.hpp"

namespace emcomp::bindings {

namespace {

using Floats = DenseArray<float>;

Floats choose_row_steps(const py::array& matrix, int bits, std::int64_t group,
                        codes::Clipping clipping, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  Floats steps({view.rows, (view.dim + group - 1) / group});
  float* out = steps.mutable_data();
  const py::gil_scoped_release release;
  codes::choose_row_steps(view, bits, group, clipping, out, threads);
  return steps;
}

void encode_uniform(const py::array& matrix, std::int64_t first_row, int bits, std::int64_t group,
                    const Floats& steps, bool by_row, bool stochastic, std::uint64_t seed,
                    DenseArray<std::uint8_t>& codes, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  const std::int64_t groups = (view.dim + group - 1) / group;
  if (steps.size() != (by_row ? view.rows * groups : groups)) {
    throw py::type_error("steps do not fit the matrix");
  }
  if (codes.ndim() != 2 || codes.shape(0) != view.rows ||
      codes.shape(1) != packing::row_bytes(view.dim, bits)) {
    throw py::type_error("codes must have shape (rows, row_bytes(dim, bits))");
  }
  const float* from = steps.data();
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  codes::encode_uniform(view, first_row, bits, {.group = group, .row_stride = by_row ? groups : 0},
                        from, {.stochastic = stochastic, .seed = seed}, to, threads);
}

}  // namespace

void bind_uniform(py::module_& module) {
  module.def("choose_row_steps", &choose_row_steps, py::arg("matrix"), py::arg("bits"),
             py::arg("group"), py::arg("clipping"), py::arg("threads"),
             "Distance between levels for each row and group of columns, float32 (rows, groups).");
  module.def("encode_uniform", &encode_uniform, py::arg("matrix"), py::arg("first_row"),
             py::arg("bits"), py::arg("group"), py::arg("steps").noconvert(), py::arg("by_row"),
             py::arg("stochastic"), py::arg("seed"), py::arg("codes").noconvert(),
             py::arg("threads"),
             "Encode rows into codes (rows, row_bytes), steps for each group of columns and, where "
             "by_row, each row.");
  module.def(
      "find_nonfinite",
      [](const py::array& matrix, int threads) {
        const base::MatrixView view = matrix_view(matrix);
        codes::NonFinite found;
        {
          const py::gil_scoped_release release;
          found = codes::find_nonfinite(view, threads);
        }
        return py::make_tuple(found.first, found.count, found.largest);
      },
      py::arg("matrix"), py::arg("threads"),
      "Flat index of the first NaN or infinite entry (-1 if none), how many there are, and the "
      "largest magnitude.");
}

}  // namespace emcomp::bindings
