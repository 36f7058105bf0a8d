#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/codes/additive_codebooks.hpp"
#include "emcomp/codes/additive_search.hpp"

namespace emcomp::bindings {

namespace {

using Floats = DenseArray<float>;
using Codes = DenseArray<std::uint8_t>;

codes::AdditiveShape additive_shape(const Floats& codebooks) {
  if (codebooks.ndim() != 3 || codebooks.size() == 0 || codebooks.shape(1) > 256) {
    throw py::type_error("codebooks must have shape (codes, codewords <= 256, dim)");
  }
  return {.dim = codebooks.shape(2), .codes = codebooks.shape(0), .codewords = codebooks.shape(1)};
}

void check_additive(const base::MatrixView& rows, const Codes& codes,
                    const codes::AdditiveShape& shape) {
  if (rows.dim != shape.dim || codes.ndim() != 2 || codes.shape(0) != rows.rows ||
      codes.shape(1) != shape.codes) {
    throw py::type_error("codes must have shape (rows, codes)");
  }
}

codes::AdditiveSearch make_additive_search(const Floats& codebooks, int threads) {
  const codes::AdditiveShape shape = additive_shape(codebooks);
  const std::span<const float> from = entries(codebooks);
  const py::gil_scoped_release release;
  return codes::AdditiveSearch(from, shape, threads);
}

void pursue(const codes::AdditiveSearch& search, const py::array& matrix, Codes& codes,
            int threads) {
  const base::MatrixView view = matrix_view(matrix);
  check_additive(view, codes, search.shape());
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  search.pursue(view, to, threads);
}

double improve(const codes::AdditiveSearch& search, const py::array& matrix, std::int64_t first_row,
               int restarts, std::uint64_t seed, Codes& codes, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  check_additive(view, codes, search.shape());
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  return search.improve(view, first_row, restarts, seed, to, threads);
}

void update_statistics(codes::AdditiveStatistics& statistics, const py::array& matrix,
                       const Codes& codes, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  check_additive(view, codes, statistics.shape());
  const std::uint8_t* from = codes.data();
  const py::gil_scoped_release release;
  statistics.update(view, from, threads);
}

Floats solve_codebooks(const codes::AdditiveStatistics& statistics, const Floats& before,
                       int threads) {
  const codes::AdditiveShape& shape = statistics.shape();
  if (before.size() != shape.all_codewords() * shape.dim) {
    throw py::type_error("the codebooks before must have shape (codes, codewords, dim)");
  }
  const std::span<const float> from = entries(before);
  std::vector<float> codebooks;
  {
    const py::gil_scoped_release release;
    codebooks = statistics.solve(from, threads);
  }
  return Floats({shape.codes, shape.codewords, shape.dim}, codebooks.data());
}

}  // namespace

void bind_additive_refinement(py::module_& module) {
  py::class_<codes::AdditiveSearch>(module, "AdditiveSearch", py::module_local())
      .def(py::init(&make_additive_search), py::arg("codebooks").noconvert(), py::arg("threads"))
      .def("pursue", &pursue, py::arg("matrix"), py::arg("codes").noconvert(), py::arg("threads"),
           "Codes of rows from nothing into uint8 (rows, codes).")
      .def("improve", &improve, py::arg("matrix"), py::arg("first_row"), py::arg("restarts"),
           py::arg("seed"), py::arg("codes").noconvert(), py::arg("threads"),
           "Improve codes by local search; returns the sum of squared errors.");
  py::class_<codes::AdditiveStatistics>(module, "AdditiveStatistics", py::module_local())
      .def(py::init([](std::int64_t dim, std::int64_t codes, std::int64_t codewords) {
             if (dim < 1 || codes < 1 || codewords < 1 || codewords > 256) {
               throw py::type_error("dim and codes must be positive, codewords from 1 to 256");
             }
             return codes::AdditiveStatistics({.dim = dim, .codes = codes, .codewords = codewords});
           }),
           py::arg("dim"), py::arg("codes"), py::arg("codewords"))
      .def("update", &update_statistics, py::arg("matrix"), py::arg("codes").noconvert(),
           py::arg("threads"))
      .def(
          "merge",
          [](codes::AdditiveStatistics& statistics, const codes::AdditiveStatistics& other) {
            const codes::AdditiveShape& a = statistics.shape();
            const codes::AdditiveShape& b = other.shape();
            if (a.dim != b.dim || a.codes != b.codes || a.codewords != b.codewords) {
              throw py::type_error("the other statistics are of another shape");
            }
            const py::gil_scoped_release release;
            statistics.merge(other);
          },
          py::arg("other"))
      .def_property_readonly(
          "counts",
          [](const codes::AdditiveStatistics& statistics) {
            const codes::AdditiveShape& shape = statistics.shape();
            return DenseArray<std::uint32_t>({shape.codes, shape.codewords},
                                             statistics.counts().data());
          },
          "Rows of each codeword, uint32 (codes, codewords).")
      .def("solve", &solve_codebooks, py::arg("before").noconvert(), py::arg("threads"),
           "Least-squares codebooks, float32 (codes, codewords, dim).");
}

}  // namespace emcomp::bindings
