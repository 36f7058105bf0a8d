#include "emcomp/product_quantizer.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"

namespace emcomp::bindings {

namespace {

using Floats = DenseArray<float>;

ProductLayout checked_layout(std::int64_t dim, std::int64_t parts, int bits) {
  if (bits < 1 || bits > 12 || parts < 1 || parts > dim) {
    throw py::type_error("parts must be from 1 to dim and bits from 1 to 12");
  }
  return {.dim = dim, .parts = parts, .bits = bits};
}

void check_codebook(const Floats& codebook, const ProductLayout& layout) {
  if (codebook.ndim() != 2 || codebook.shape(0) != layout.codewords() ||
      codebook.shape(1) != layout.dim) {
    throw py::type_error("codebook must have shape (2**bits, dim)");
  }
}

void train(const py::array& rows, std::int64_t parts, int bits, std::int64_t first_part,
           std::int64_t last_part, int iterations, std::uint64_t seed, Floats& codebook,
           int threads) {
  const MatrixView view = matrix_view(rows);
  const ProductLayout layout = checked_layout(view.dim, parts, bits);
  check_codebook(codebook, layout);
  if (view.rows < layout.codewords() || first_part < 0 || first_part > last_part ||
      last_part > parts) {
    throw py::type_error("there must be as many rows as codewords, and the parts must exist");
  }
  float* out = codebook.mutable_data();
  const py::gil_scoped_release release;
  train_product_codebook(view, layout, first_part, last_part, iterations, seed, out, threads);
}

void encode(const py::array& matrix, std::int64_t first_row, std::int64_t parts, int bits,
            const Floats& codebook, DenseArray<std::uint8_t>& codes, int threads) {
  const MatrixView view = matrix_view(matrix);
  const ProductLayout layout = checked_layout(view.dim, parts, bits);
  check_codebook(codebook, layout);
  if (codes.ndim() != 2 || codes.shape(0) != view.rows || codes.shape(1) != layout.row_bytes()) {
    throw py::type_error("codes must have shape (rows, (parts * bits + 7) // 8)");
  }
  const float* from = codebook.data();
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  ProductEncoder(from, layout).encode(view, first_row, to, threads);
}

}  // namespace

void bind_product_quantizer(py::module_& module) {
  module.def("train_product_codebook", &train, py::arg("rows"), py::arg("parts"), py::arg("bits"),
             py::arg("first_part"), py::arg("last_part"), py::arg("iterations"), py::arg("seed"),
             py::arg("codebook").noconvert(), py::arg("threads"),
             "Learn some parts' columns of codebook, float32 (2**bits, dim).");
  module.def("encode_product", &encode, py::arg("matrix"), py::arg("first_row"), py::arg("parts"),
             py::arg("bits"), py::arg("codebook").noconvert(), py::arg("codes").noconvert(),
             py::arg("threads"), "Encode rows into codes (rows, (parts * bits + 7) // 8).");
}

}  // namespace emcomp::bindings
