#include "emcomp/codes/levels.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/kmeans/optimal_levels.hpp"
#include "emcomp/packing/bit_packing.hpp"

namespace emcomp::bindings {

namespace {

py::tuple fit_levels(std::span<const statistics::ValueHistogram> histograms, int bits,
                     int threads) {
  const auto groups = static_cast<py::ssize_t>(histograms.size());
  const std::size_t count = std::size_t{1} << bits;
  DenseArray<float> levels({groups, static_cast<py::ssize_t>(count)});
  DenseArray<double> errors(groups);
  DenseArray<double> spread_errors(groups);
  float* to = levels.mutable_data();
  double* error = errors.mutable_data();
  double* spread_error = spread_errors.mutable_data();
  {
    const py::gil_scoped_release release;
    base::parallel_blocks(groups, 1, threads, [&](std::int64_t group, std::int64_t) {
      const auto at = static_cast<std::size_t>(group);
      const kmeans::LevelFit fit = kmeans::optimal_levels(histograms[at], count, to + at * count);
      error[group] = fit.squared_error;
      spread_error[group] = fit.spread_error;
    });
  }
  return py::make_tuple(levels, errors, spread_errors);
}

void encode_levels(const py::array& matrix, int bits, std::int64_t group,
                   const DenseArray<float>& levels, DenseArray<std::uint8_t>& codes, int threads) {
  const base::MatrixView view = matrix_view(matrix);
  const codes::LevelTable table{.values = levels.data(), .group = group, .bits = bits};
  if (levels.size() != table.groups(view.dim) * table.count()) {
    throw py::type_error("levels must have shape (groups, 2**bits)");
  }
  if (codes.ndim() != 2 || codes.shape(0) != view.rows ||
      codes.shape(1) != packing::row_bytes(view.dim, bits)) {
    throw py::type_error("codes must have shape (rows, row_bytes(dim, bits))");
  }
  std::uint8_t* to = codes.mutable_data();
  const py::gil_scoped_release release;
  codes::encode_levels(view, table, to, threads);
}

}  // namespace

void bind_levels(py::module_& module) {
  constexpr const char* kFitted =
      "Levels of least squared error, float32 (groups, 2**bits); their errors, float64 (groups,); "
      "and what of these comes from taking a bin's values as spread evenly.";
  module.def(
      "optimal_levels",
      [](const statistics::ValueHistogram& histogram, int bits, int threads) {
        return fit_levels({&histogram, 1}, bits, threads);
      },
      py::arg("histograms"), py::arg("bits"), py::arg("threads"), kFitted);
  module.def(
      "optimal_levels",
      [](const statistics::ColumnHistograms& histograms, int bits, int threads) {
        return fit_levels(histograms.groups(), bits, threads);
      },
      py::arg("histograms"), py::arg("bits"), py::arg("threads"), kFitted);
  module.def("encode_levels", &encode_levels, py::arg("matrix"), py::arg("bits"), py::arg("group"),
             py::arg("levels").noconvert(), py::arg("codes").noconvert(), py::arg("threads"),
             "Encode rows into codes (rows, row_bytes): the nearest of ascending levels.");
}

}  // namespace emcomp::bindings
