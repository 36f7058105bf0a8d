#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/kmeans/fit.hpp"
#include "emcomp/kmeans/lloyd.hpp"
#include "emcomp/kmeans/seeding.hpp"

namespace emcomp::bindings {

namespace {

py::array_t<std::int64_t> sample_rows(std::int64_t rows, std::int64_t count, std::uint64_t seed) {
  if (count < 1 || count > rows) throw InputError("count must be between 1 and rows");
  return as_array(kmeans::sample_rows(rows, count, seed));
}

py::array_t<float> start_centroids(const py::array& sample, std::int64_t count, std::uint64_t seed,
                                   int threads) {
  const base::MatrixView view = matrix_view(sample);
  if (count < 1 || count > view.rows || view.dim < 1) {
    throw InputError("count must be between 1 and the rows of the sample");
  }
  std::vector<float> centroids;
  {
    const py::gil_scoped_release release;
    centroids = kmeans::start_centroids(view, count, seed, threads);
  }
  return as_array(centroids, {count, view.dim});
}

std::unique_ptr<kmeans::Lloyd> make_lloyd(const DenseArray<float>& centroids, std::int64_t rows,
                                          bool use_bounds) {
  if (centroids.ndim() != 2 || centroids.size() == 0 || rows < 1) {
    throw InputError("centroids must have shape (k, dim) and rows be positive");
  }
  return std::make_unique<kmeans::Lloyd>(entries(centroids), centroids.shape(1), rows, use_bounds);
}

void assign_block(kmeans::Lloyd& lloyd, const py::array& block, std::int64_t first, int threads) {
  const base::MatrixView view = matrix_view(block);
  const auto rows = static_cast<std::int64_t>(lloyd.labels().size());
  if (view.dim != lloyd.dim() || first < 0 || first + view.rows > rows) {
    throw InputError("the block does not fit the rows and dimension given before");
  }
  const py::gil_scoped_release release;
  lloyd.assign(view, first, threads);
}

void replace_centroid(kmeans::Lloyd& lloyd, std::int64_t cluster, const py::array& row) {
  const base::MatrixView view = matrix_view(row);
  if (cluster < 0 || cluster >= lloyd.count() || view.rows != 1 || view.dim != lloyd.dim()) {
    throw InputError("no such cluster, or not one row of the dimension given before");
  }
  std::vector<double> values(static_cast<std::size_t>(view.dim));
  base::load_rows(view, 0, 1, values.data());
  lloyd.replace(cluster, values);
}

}  // namespace

void bind_kmeans(py::module_& module) {
  module.attr("KMEANS_TOLERANCE") = kmeans::kKMeansTolerance;
  module.attr("KMEANS_START_ROWS") = kmeans::kStartRowsPerCentroid;
  module.attr("KMEANS_BOUNDS_MIN_DIM") = kmeans::kBoundsMinDim;
  module.def("sample_rows", &sample_rows, py::arg("rows"), py::arg("count"), py::arg("seed"));
  module.def("start_centroids", &start_centroids, py::arg("sample"), py::arg("count"),
             py::arg("seed"), py::arg("threads"));
  py::class_<kmeans::Lloyd>(module, "Lloyd", py::module_local())
      .def(py::init(&make_lloyd), py::arg("centroids"), py::arg("rows"), py::arg("use_bounds"))
      .def("assign", &assign_block, py::arg("block"), py::arg("first"), py::arg("threads"))
      .def("update", &kmeans::Lloyd::update, py::call_guard<py::gil_scoped_release>())
      .def("replace", &replace_centroid, py::arg("cluster"), py::arg("row"))
      .def("empty_clusters", &kmeans::Lloyd::empty_clusters)
      .def("farthest_rows", &kmeans::Lloyd::farthest_rows, py::arg("wanted"))
      .def_property_readonly("inertia", &kmeans::Lloyd::inertia)
      .def_property_readonly("changed", &kmeans::Lloyd::changed)
      .def_property_readonly("distances_computed", &kmeans::Lloyd::distances_computed)
      .def_property_readonly("labels",
                             [](const kmeans::Lloyd& lloyd) { return as_array(lloyd.labels()); })
      .def_property_readonly("centroids", [](const kmeans::Lloyd& lloyd) {
        return as_array(lloyd.centroids(), {lloyd.count(), lloyd.dim()});
      });
}

}  // namespace emcomp::bindings
