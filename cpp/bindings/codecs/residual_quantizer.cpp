#include "emcomp/codes/residual_quantizer.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"

namespace emcomp::bindings {

namespace {

using Floats = DenseArray<float>;

codes::ResidualLayout residual_layout(std::int64_t dim, std::int64_t stages, int bits,
                                      std::int64_t beam) {
  if (bits < 1 || bits > 12 || stages < 1 || beam < 1 || dim < 1) {
    throw py::type_error("stages, beam and dim must be positive and bits from 1 to 12");
  }
  return {.dim = dim, .stages = stages, .bits = bits, .beam = beam};
}

std::unique_ptr<codes::ResidualTrainer> make_residual_trainer(const py::array& rows,
                                                              std::int64_t stages, int bits,
                                                              std::int64_t beam) {
  const base::MatrixView view = matrix_view(rows);
  const codes::ResidualLayout layout = residual_layout(view.dim, stages, bits, beam);
  if (view.rows < layout.codewords()) throw py::type_error("fewer rows than codewords");
  return std::make_unique<codes::ResidualTrainer>(view, layout);
}

codes::ResidualEncoder make_residual_encoder(const Floats& codebooks, int bits, std::int64_t beam,
                                             int threads) {
  if (codebooks.ndim() != 3 || bits < 1 || bits > 12 || codebooks.shape(1) != 1 << bits) {
    throw py::type_error("codebooks must have shape (stages, 2**bits, dim)");
  }
  const std::int64_t stages = codebooks.shape(0);
  const codes::ResidualLayout layout = residual_layout(codebooks.shape(2), stages, bits, beam);
  const auto size = static_cast<std::size_t>(layout.codewords() * layout.dim);
  const float* data = codebooks.data();
  const py::gil_scoped_release release;
  codes::ResidualEncoder encoder(layout);
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    encoder.add_stage({data + static_cast<std::size_t>(stage) * size, size}, threads);
  }
  return encoder;
}

void encode_residual(const codes::ResidualEncoder& encoder, const py::array& matrix,
                     std::int64_t first_row, DenseArray<std::uint8_t>& codes, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  if (view.dim != encoder.layout().dim || codes.ndim() != 2 || codes.shape(0) != view.rows ||
      codes.shape(1) != encoder.layout().row_bytes()) {
    throw py::type_error("codes must have shape (rows, (stages * bits + 7) // 8)");
  }
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  encoder.encode(view, first_row, to, threads);
}

}  // namespace

void bind_residual_quantizer(py::module_& module) {
  py::class_<codes::ResidualTrainer>(module, "ResidualTrainer", py::module_local())
      .def(py::init(&make_residual_trainer), py::arg("rows"), py::arg("stages"), py::arg("bits"),
           py::arg("beam"))
      .def("train_stage", &codes::ResidualTrainer::train_stage, py::arg("iterations"),
           py::arg("seed"), py::arg("threads"), py::call_guard<py::gil_scoped_release>())
      .def("refine", &codes::ResidualTrainer::refine, py::arg("threads"),
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("error", &codes::ResidualTrainer::error)
      .def_property_readonly("codebooks", [](const codes::ResidualTrainer& trainer) {
        const codes::ResidualLayout& layout = trainer.layout();
        const auto size = static_cast<std::int64_t>(trainer.codebooks().size());
        const std::int64_t stages = size / (layout.codewords() * layout.dim);
        return Floats({stages, layout.codewords(), layout.dim}, trainer.codebooks().data());
      });
  py::class_<codes::ResidualEncoder>(module, "ResidualEncoder", py::module_local())
      .def(py::init(&make_residual_encoder), py::arg("codebooks").noconvert(), py::arg("bits"),
           py::arg("beam"), py::arg("threads"))
      .def("encode", &encode_residual, py::arg("matrix"), py::arg("first_row"),
           py::arg("codes").noconvert(), py::arg("threads"));
}

}  // namespace emcomp::bindings
