#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/codecs/parameters.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/networks/compositional_trainer.hpp"

namespace emcomp::bindings {

namespace {

networks::CompositionalShape compositional_shape(Eigen::Index dim, Eigen::Index codes,
                                                 Eigen::Index codewords) {
  if (dim < 1 || codes < 1 || codewords < 2 || codewords > 256) {
    throw py::type_error("dim and codes must be positive and codewords from 2 to 256");
  }
  return {.dim = dim, .codes = codes, .codewords = codewords};
}

py::tuple compositional_gradient(const DenseArray<float>& rows, const DenseArray<float>& noise,
                                 const py::tuple& arrays, Eigen::Index codes,
                                 Eigen::Index codewords, int threads) {
  if (rows.ndim() != 2) throw py::type_error("rows must have shape (batch, dim)");
  const networks::CompositionalShape shape = compositional_shape(rows.shape(1), codes, codewords);
  const Eigen::Index batch = rows.shape(0);
  if (noise.ndim() != 2 || noise.shape(0) != batch || noise.shape(1) != shape.logits()) {
    throw py::type_error("noise must have shape (batch, codes * codewords)");
  }
  auto parameters = networks::CompositionalParameters::zeros(shape);
  assign(arrays, parameters);
  auto result = networks::CompositionalParameters::zeros(shape);
  networks::CompositionalLoss loss{};
  const float* row_data = rows.data();
  const float* noise_data = noise.data();
  {
    const py::gil_scoped_release release;
    networks::CompositionalPass pass(shape, batch);
    std::copy_n(row_data, batch * shape.dim, pass.rows().data());
    const auto given = [&](Eigen::Index row, float* out, Eigen::Index count) {
      std::copy_n(noise_data + row * count, count, out);
    };
    loss = pass.gradient(parameters, batch, given, result, threads);
  }
  return py::make_tuple(loss.loss, loss.squared_norm, as_tuple(std::move(result)));
}

std::unique_ptr<networks::CompositionalTrainer> make_compositional_trainer(
    const py::array& rows, Eigen::Index codes, Eigen::Index codewords, Eigen::Index batch,
    float learning_rate, double clip_norm, bool normalize, std::uint64_t seed) {
  const base::MatrixView view = matrix_view(rows);
  const networks::CompositionalShape shape = compositional_shape(view.dim, codes, codewords);
  if (batch < 1 || batch > view.rows) throw py::type_error("batch must be from 1 to the rows");
  const py::gil_scoped_release release;
  return std::make_unique<networks::CompositionalTrainer>(
      view, shape,
      networks::TrainingSettings{.batch = batch,
                                 .learning_rate = learning_rate,
                                 .clip_norm = clip_norm,
                                 .normalize = normalize,
                                 .seed = seed});
}

// The encoder alone, with what it needs to know of its shape.
struct Encoder {
  networks::CompositionalShape shape;
  networks::CompositionalParameters parameters;
};

Encoder make_encoder(const py::tuple& parameters, Eigen::Index codes, Eigen::Index codewords) {
  if (parameters.size() != 5) throw py::type_error("expected five parameters");
  const auto codebooks = py::cast<DenseArray<float>>(parameters[4]);
  if (codebooks.ndim() != 2) throw py::type_error("codebooks must have shape (codewords, dim)");
  const networks::CompositionalShape shape =
      compositional_shape(codebooks.shape(1), codes, codewords);
  Encoder encoder{shape, networks::CompositionalParameters::zeros(shape)};
  assign(parameters, encoder.parameters);
  return encoder;
}

void encode_rows(const Encoder& encoder, const py::array& matrix, DenseArray<std::uint8_t>& codes,
                 int threads) {
  const base::MatrixView view = matrix_view(matrix);
  if (view.dim != encoder.shape.dim || codes.ndim() != 2 || codes.shape(0) != view.rows ||
      codes.shape(1) != encoder.shape.codes) {
    throw py::type_error("codes must have shape (rows, codes)");
  }
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  networks::encode_compositional(encoder.parameters, encoder.shape, view, to, threads);
}

}  // namespace

void bind_compositional_codes(py::module_& module) {
  module.def("compositional_gradient", &compositional_gradient, py::arg("rows").noconvert(),
             py::arg("noise").noconvert(), py::arg("parameters"), py::arg("codes"),
             py::arg("codewords"), py::arg("threads"),
             "Loss, squared norm of the gradient and the gradient for given uniform noise.");

  py::class_<Encoder>(module, "CompositionalEncoder", py::module_local())
      .def(py::init(&make_encoder), py::arg("parameters"), py::arg("codes"), py::arg("codewords"))
      .def("encode", &encode_rows, py::arg("matrix"), py::arg("codes").noconvert(),
           py::arg("threads"), "Hard codes of rows into uint8 (rows, codes).");

  py::class_<networks::CompositionalTrainer>(module, "CompositionalTrainer", py::module_local())
      .def(py::init(&make_compositional_trainer), py::arg("rows"), py::arg("codes"),
           py::arg("codewords"), py::arg("batch"), py::arg("learning_rate"), py::arg("clip_norm"),
           py::arg("normalize"), py::arg("seed"))
      .def("train", &networks::CompositionalTrainer::train, py::arg("steps"), py::arg("threads"),
           py::call_guard<py::gil_scoped_release>(), "Mean loss of some steps.")
      .def("validation_loss", &networks::CompositionalTrainer::validation_loss, py::arg("threads"),
           py::call_guard<py::gil_scoped_release>())
      .def("keep", &networks::CompositionalTrainer::keep, "Remember the parameters.")
      .def("restore", &networks::CompositionalTrainer::restore, "Return to those remembered.")
      .def_property_readonly("steps_per_epoch", &networks::CompositionalTrainer::steps_per_epoch)
      .def_property_readonly("parameters", [](const networks::CompositionalTrainer& trainer) {
        return as_tuple(trainer.parameters());
      });
}

}  // namespace emcomp::bindings
