// Linear maps, and the latents that they make of rows.

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/tables/linear_map.hpp"
#include "emcomp/transforms/latents.hpp"

namespace emcomp::bindings {

namespace {

using Floats = DenseArray<float>;
using MaybeFloats = std::optional<Floats>;
using MaybeHalves = std::optional<py::array>;

Floats apply_map(const PyLinearMap& self, const Floats& rows) {
  if (rows.ndim() != 2 || rows.shape(1) != self.map->inputs()) {
    throw py::type_error("rows must have shape (count, inputs)");
  }
  Floats out({static_cast<std::int64_t>(rows.shape(0)), self.map->outputs()});
  const float* from = rows.data();
  float* to = out.mutable_data();
  const py::gil_scoped_release release;
  self.map->apply(from, rows.shape(0), to);
  return out;
}

void encode_latents(const py::array& rows, const PyLinearMap& encoder, const PyLinearMap* decoder,
                    const MaybeFloats& centre, const std::string& scaling, float gain,
                    const MaybeFloats& importance, Floats& latents, MaybeHalves& scales,
                    int threads) {
  const base::MatrixView view = matrix_view(rows);
  transforms::LatentMap map;
  map.encoder = encoder.map;
  map.gain = gain;
  if (decoder != nullptr) map.decoder = decoder->map;
  if (importance)
    map.importance.assign(importance->data(), importance->data() + importance->size());
  if (centre) map.centre.assign(centre->data(), centre->data() + centre->size());
  map.scaling = scaling == "row"      ? transforms::LatentScaling::kRow
                : scaling == "length" ? transforms::LatentScaling::kLength
                                      : transforms::LatentScaling::kNone;
  if (encoder.map->inputs() != view.dim || (centre && centre->size() != view.dim) ||
      (importance && importance->size() != encoder.map->outputs()) ||
      latents.size() != view.rows * encoder.map->outputs()) {
    throw py::type_error("encoder, centre, importance and latents must fit the rows");
  }
  if (map.scaling == transforms::LatentScaling::kLength &&
      (decoder == nullptr || map.decoder->outputs() != view.dim ||
       map.decoder->inputs() != encoder.map->outputs())) {
    throw py::type_error("scaling 'length' needs the decoder of the encoder's latents");
  }
  std::uint16_t* to_scales = nullptr;
  if (map.scaling == transforms::LatentScaling::kRow) {
    if (!scales || scales->size() != view.rows ||
        dtype_of(scales->dtype()) != base::DType::kFloat16 ||
        !(scales->flags() & py::array::c_style)) {
      throw py::type_error("scaling 'row' needs dense float16 scales, one for each row");
    }
    to_scales = static_cast<std::uint16_t*>(scales->mutable_data());
  }
  float* to = latents.mutable_data();
  const py::gil_scoped_release release;
  transforms::encode_latents(view, map, to, to_scales, threads);
}

void activate_latents(Floats& latents, const Floats& bias, int threads) {
  if (latents.ndim() != 2 || bias.size() != latents.shape(1)) {
    throw py::type_error("bias must have one entry for each latent");
  }
  float* to = latents.mutable_data();
  const float* from = bias.data();
  const std::int64_t rows = latents.shape(0);
  const std::int64_t dim = latents.shape(1);
  const py::gil_scoped_release release;
  transforms::activate_latents(to, rows, dim, from, threads);
}

double reweight_rows(const py::array& rows, const PyLinearMap* projection,
                     const MaybeFloats& weights, Floats& out, int threads) {
  const base::MatrixView view = matrix_view(rows);
  if (out.size() != view.rows * view.dim || (weights && weights->size() != view.rows) ||
      (projection != nullptr && projection->map->inputs() != view.dim)) {
    throw py::type_error("projection, weights and out must fit the rows");
  }
  const transforms::LinearMap* map = projection == nullptr ? nullptr : projection->map.get();
  const float* from = weights ? weights->data() : nullptr;
  float* to = out.mutable_data();
  const py::gil_scoped_release release;
  return transforms::reweight_rows(view, map, from, to, threads);
}

}  // namespace

void bind_transforms(py::module_& module) {
  py::class_<PyLinearMap>(module, "LinearMap", py::module_local())
      .def_property_readonly("inputs", [](const PyLinearMap& self) { return self.map->inputs(); })
      .def_property_readonly("outputs", [](const PyLinearMap& self) { return self.map->outputs(); })
      .def("apply", &apply_map, py::arg("rows").noconvert(), "Map rows float32 (count, inputs).");
  module.def(
      "dense_map",
      [](const Floats& matrix) {
        if (matrix.ndim() != 2) throw py::type_error("a map has two dimensions");
        return PyLinearMap{
            transforms::make_dense_map(matrix.data(), matrix.shape(0), matrix.shape(1))};
      },
      py::arg("matrix").noconvert(), "The map of rows by a matrix (inputs, outputs).");
  module.def(
      "rotation",
      [](std::int64_t dim, std::uint64_t seed, bool inverse) {
        if (dim < 1) throw py::type_error("dim must be positive");
        return PyLinearMap{transforms::make_rotation(dim, seed, inverse)};
      },
      py::arg("dim"), py::arg("seed"), py::arg("inverse"), "A seeded orthogonal map.");
  module.def("encode_latents", &encode_latents, py::arg("rows"), py::arg("encoder"),
             py::arg("decoder"), py::arg("centre").noconvert(), py::arg("scaling"), py::arg("gain"),
             py::arg("importance").noconvert(), py::arg("latents").noconvert(),
             py::arg("scales").noconvert(), py::arg("threads"),
             "Latents of rows, and the rows' scales where scaling is 'row'.");
  module.def("activate_latents", &activate_latents, py::arg("latents").noconvert(),
             py::arg("bias").noconvert(), py::arg("threads"),
             "Add a bias to latents and take ELU of the sums, in place.");
  module.def("reweight_rows", &reweight_rows, py::arg("rows"), py::arg("projection"),
             py::arg("weights").noconvert(), py::arg("out").noconvert(), py::arg("threads"),
             "Rows over the root of their length times that of their projection.");
}

}  // namespace emcomp::bindings
