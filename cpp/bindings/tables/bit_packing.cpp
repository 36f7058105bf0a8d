#include "emcomp/packing/bit_packing.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"

namespace emcomp::bindings {

namespace {

using Bytes = DenseArray<std::uint8_t>;

Bytes pack_codes(const Bytes& codes, int bits, int threads) {
  if (codes.ndim() != 2) throw py::type_error("codes must be two-dimensional");
  const std::int64_t rows = codes.shape(0);
  const std::int64_t dim = codes.shape(1);
  Bytes packed({rows, packing::row_bytes(dim, bits)});
  const std::uint8_t* from = codes.data();
  std::uint8_t* to = packed.mutable_data();
  const py::gil_scoped_release release;
  packing::pack_codes(from, rows, dim, bits, to, threads);
  return packed;
}

}  // namespace

void bind_bit_packing(py::module_& module) {
  module.def("row_bytes", &packing::row_bytes, py::arg("dim"), py::arg("bits"),
             "Bytes of a packed row.");
  module.def("pack_codes", &pack_codes, py::arg("codes").noconvert(), py::arg("bits"),
             py::arg("threads"), "Pack uint8 codes (rows, dim) into (rows, row_bytes).");
}

}  // namespace emcomp::bindings
