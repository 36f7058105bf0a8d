// Training the direction-aware autoencoder.

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/codecs/parameters.hpp"
#include "emcomp/networks/autoencoder_trainer.hpp"

namespace emcomp::bindings {

namespace {

py::tuple autoencoder_gradient(const DenseArray<float>& rows, const py::tuple& arrays, bool elu,
                               const networks::AutoencoderObjective& objective, int threads) {
  if (rows.ndim() != 2 || rows.shape(0) < 1) throw py::type_error("rows must have shape (n, dim)");
  if (arrays.empty()) throw py::type_error("expected parameters");
  const auto latents = py::cast<py::array>(arrays[0]).shape(0);
  const networks::AutoencoderShape shape{.dim = rows.shape(1), .latents = latents, .elu = elu};
  auto parameters = networks::AutoencoderParameters::zeros(shape);
  assign(arrays, parameters);
  auto result = networks::AutoencoderParameters::zeros(shape);
  networks::AutoencoderLoss loss{};
  const float* data = rows.data();
  const Eigen::Index batch = rows.shape(0);
  {
    const py::gil_scoped_release release;
    networks::AutoencoderPass pass(shape, batch);
    std::copy_n(data, batch * shape.dim, pass.rows().data());
    loss = pass.gradient(parameters, batch, objective, result, threads);
  }
  return py::make_tuple(loss.loss, loss.cosine_distance, as_tuple(std::move(result)));
}

std::unique_ptr<networks::AutoencoderTrainer> make_autoencoder_trainer(const py::array& rows,
                                                                       Eigen::Index latents,
                                                                       bool elu, Eigen::Index batch,
                                                                       std::uint64_t seed) {
  const base::MatrixView view = matrix_view(rows);
  if (latents < 1 || batch < 1 || batch > view.rows) {
    throw py::type_error("latents must be positive and batch from 1 to the rows");
  }
  const networks::AutoencoderShape shape{.dim = view.dim, .latents = latents, .elu = elu};
  const py::gil_scoped_release release;
  return std::make_unique<networks::AutoencoderTrainer>(view, shape, batch, seed);
}

py::tuple train_autoencoder(networks::AutoencoderTrainer& trainer, Eigen::Index steps,
                            const networks::AutoencoderObjective& objective, double learning_rate,
                            int threads) {
  networks::AutoencoderLoss loss{};
  {
    const py::gil_scoped_release release;
    loss = trainer.train(steps, objective, learning_rate, threads);
  }
  return py::make_tuple(loss.loss, loss.cosine_distance);
}

}  // namespace

void bind_autoencoder(py::module_& module) {
  py::class_<networks::AutoencoderObjective>(module, "AutoencoderObjective", py::module_local())
      .def(
          py::init([](double cosine_weight, double rmse_weight, double power_weight, double power) {
            return networks::AutoencoderObjective{.cosine_weight = cosine_weight,
                                                  .rmse_weight = rmse_weight,
                                                  .power_weight = power_weight,
                                                  .power = power};
          }),
          py::arg("cosine_weight"), py::arg("rmse_weight"), py::arg("power_weight"),
          py::arg("power"));

  module.def("autoencoder_gradient", &autoencoder_gradient, py::arg("rows").noconvert(),
             py::arg("parameters"), py::arg("elu"), py::arg("objective"), py::arg("threads"),
             "Loss, mean cosine distance and the gradient.");

  py::class_<networks::AutoencoderTrainer>(module, "AutoencoderTrainer", py::module_local())
      .def(py::init(&make_autoencoder_trainer), py::arg("rows"), py::arg("latents"), py::arg("elu"),
           py::arg("batch"), py::arg("seed"))
      .def("train", &train_autoencoder, py::arg("steps"), py::arg("objective"),
           py::arg("learning_rate"), py::arg("threads"),
           "Mean loss and cosine distance of some steps.")
      .def_property_readonly("steps_per_epoch", &networks::AutoencoderTrainer::steps_per_epoch)
      .def_property(
          "parameters",
          [](networks::AutoencoderTrainer& trainer) { return as_tuple(trainer.parameters()); },
          [](networks::AutoencoderTrainer& trainer, const py::tuple& arrays) {
            assign(arrays, trainer.parameters());
          },
          "Encoder weights (latents, dim) and bias, decoder weights (latents, dim) and bias.");
}

}  // namespace emcomp::bindings
