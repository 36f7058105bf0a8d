#include <algorithm>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/codes/product_sums.hpp"

namespace emcomp::bindings {

namespace {

using Floats = DenseArray<float>;

codes::ProductLayout product_layout(std::int64_t dim, std::int64_t parts, int bits) {
  if (bits < 1 || bits > 12 || parts < 1 || parts > dim) {
    throw py::type_error("parts must be from 1 to dim and bits from 1 to 12");
  }
  return {.dim = dim, .parts = parts, .bits = bits};
}

void check_product_codebook(const Floats& codebook, const codes::ProductLayout& layout) {
  if (codebook.ndim() != 2 || codebook.shape(0) != layout.codewords() ||
      codebook.shape(1) != layout.dim) {
    throw py::type_error("codebook must have shape (2**bits, dim)");
  }
}

void start_product_codebook(const py::array& sample, std::int64_t parts, int bits,
                            std::int64_t first_part, std::int64_t last_part, std::uint64_t seed,
                            Floats& codebook, int threads) {
  const base::MatrixView view = matrix_view(sample);
  const codes::ProductLayout layout = product_layout(view.dim, parts, bits);
  check_product_codebook(codebook, layout);
  if (view.rows < layout.codewords() || first_part < 0 || first_part > last_part ||
      last_part > parts) {
    throw py::type_error("there must be as many rows as codewords, and the parts must exist");
  }
  float* out = codebook.mutable_data();
  const py::gil_scoped_release release;
  codes::start_product_codebook(view, layout, first_part, last_part, seed, out, threads);
}

codes::ProductSums make_sums(const Floats& codebook, std::int64_t parts, int bits) {
  const codes::ProductLayout layout =
      product_layout(codebook.ndim() == 2 ? codebook.shape(1) : 0, parts, bits);
  check_product_codebook(codebook, layout);
  return codes::ProductSums(codebook.data(), layout);
}

void update_sums(codes::ProductSums& sums, const py::array& block, std::int64_t first_row,
                 int threads) {
  const base::MatrixView view = matrix_view(block);
  if (view.dim != sums.layout().dim) throw py::type_error("the block must have dim columns");
  const py::gil_scoped_release release;
  sums.update(view, first_row, threads);
}

void merge_sums(codes::ProductSums& sums, const codes::ProductSums& other) {
  if (sums.layout() != other.layout() || sums.codebook() != other.codebook()) {
    throw py::type_error("sums for different codebooks cannot be merged");
  }
  sums.merge(other);
}

py::tuple state_of_sums(const codes::ProductSums& sums) {
  const codes::ProductSums::Totals& totals = sums.totals();
  const codes::ProductLayout& layout = sums.layout();
  return py::make_tuple(as_array(sums.codebook(), {layout.codewords(), layout.dim}), layout.parts,
                        layout.bits, as_array(totals.sums), as_array(totals.counts),
                        as_array(totals.errors), as_array(totals.farthest),
                        as_array(totals.distances));
}

template <class T>
void restore(const py::handle& kept, std::vector<T>& values) {
  const auto array = py::cast<DenseArray<T>>(kept);
  if (array.size() != static_cast<py::ssize_t>(values.size())) {
    throw py::type_error("this is not the state of sums");
  }
  std::copy_n(array.data(), array.size(), values.data());
}

codes::ProductSums sums_from(const py::tuple& state) {
  codes::ProductSums sums = make_sums(py::cast<Floats>(state[0]), py::cast<std::int64_t>(state[1]),
                                      py::cast<int>(state[2]));
  codes::ProductSums::Totals totals = sums.totals();
  restore(state[3], totals.sums);
  restore(state[4], totals.counts);
  restore(state[5], totals.errors);
  restore(state[6], totals.farthest);
  restore(state[7], totals.distances);
  sums.set_totals(std::move(totals));
  return sums;
}

void encode_product(const py::array& matrix, std::int64_t first_row, std::int64_t parts, int bits,
                    const Floats& codebook, DenseArray<std::uint8_t>& codes, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  const codes::ProductLayout layout = product_layout(view.dim, parts, bits);
  check_product_codebook(codebook, layout);
  if (codes.ndim() != 2 || codes.shape(0) != view.rows || codes.shape(1) != layout.row_bytes()) {
    throw py::type_error("codes must have shape (rows, (parts * bits + 7) // 8)");
  }
  const float* from = codebook.data();
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  codes::ProductEncoder(from, layout).encode(view, first_row, to, threads);
}

}  // namespace

void bind_product_quantizer(py::module_& module) {
  module.def("start_product_codebook", &start_product_codebook, py::arg("sample"), py::arg("parts"),
             py::arg("bits"), py::arg("first_part"), py::arg("last_part"), py::arg("seed"),
             py::arg("codebook").noconvert(), py::arg("threads"),
             "Start some parts' columns of codebook, float32 (2**bits, dim).");
  py::class_<codes::ProductSums>(module, "ProductSums", py::module_local())
      .def(py::init(&make_sums), py::arg("codebook").noconvert(), py::arg("parts"), py::arg("bits"))
      .def("update", &update_sums, py::arg("block"), py::arg("first_row"), py::arg("threads"))
      .def("merge", &merge_sums, py::arg("other"))
      .def(py::pickle(&state_of_sums, &sums_from))
      .def("next_codebook",
           [](const codes::ProductSums& sums) {
             return as_array(sums.next_codebook(), {sums.layout().codewords(), sums.layout().dim});
           })
      .def_property_readonly("sums",
                             [](const codes::ProductSums& sums) {
                               return as_array(sums.sums(),
                                               {sums.layout().codewords(), sums.layout().dim});
                             })
      .def_property_readonly("counts",
                             [](const codes::ProductSums& sums) {
                               return as_array(sums.counts(),
                                               {sums.layout().parts, sums.layout().codewords()});
                             })
      .def_property_readonly("errors", [](const codes::ProductSums& sums) {
        return as_array(sums.errors(), {sums.layout().parts, sums.layout().codewords()});
      });
  module.def("encode_product", &encode_product, py::arg("matrix"), py::arg("first_row"),
             py::arg("parts"), py::arg("bits"), py::arg("codebook").noconvert(),
             py::arg("codes").noconvert(), py::arg("threads"),
             "Encode rows into codes (rows, (parts * bits + 7) // 8).");
}

}  // namespace emcomp::bindings
