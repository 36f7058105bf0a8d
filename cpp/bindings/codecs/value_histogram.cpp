#include "emcomp/statistics/value_histogram.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/codes/clipping.hpp"

namespace emcomp::bindings {

namespace {

py::tuple bins_of(const statistics::ValueHistogram& histogram) {
  std::vector<statistics::ValueBin> found;
  {
    const py::gil_scoped_release release;
    found = histogram.bins();
  }
  py::array_t<double> means(static_cast<py::ssize_t>(found.size()));
  py::array_t<std::uint64_t> counts(static_cast<py::ssize_t>(found.size()));
  for (std::size_t i = 0; i < found.size(); ++i) {
    means.mutable_data()[i] = found[i].mean;
    counts.mutable_data()[i] = found[i].count;
  }
  return py::make_tuple(means, counts);
}

std::int64_t count_clipped(const py::array& matrix, std::int64_t group,
                           const DenseArray<float>& low, const DenseArray<float>& high,
                           int threads) {
  const base::MatrixView view = matrix_view(matrix);
  const std::int64_t groups = (view.dim + group - 1) / group;
  if (low.size() != groups || high.size() != groups) {
    throw py::type_error("there must be one limit for each group of columns");
  }
  const float* lows = low.data();
  const float* highs = high.data();
  const py::gil_scoped_release release;
  return codes::count_clipped(view, group, lows, highs, threads);
}

using States = DenseArray<std::uint64_t>;

py::tuple column_states(const statistics::ColumnHistograms& histograms) {
  const auto states = histograms.states();
  py::tuple arrays(states.size());
  for (std::size_t g = 0; g < states.size(); ++g) arrays[g] = as_array(states[g]);
  return py::make_tuple(histograms.dim(), histograms.group(), arrays);
}

statistics::ColumnHistograms columns_from(const py::tuple& kept) {
  std::vector<std::vector<std::uint64_t>> states;
  for (const py::handle& array : py::cast<py::tuple>(kept[2])) {
    const std::span<const std::uint64_t> values = entries(py::cast<States>(array));
    states.emplace_back(values.begin(), values.end());
  }
  statistics::ColumnHistograms histograms(py::cast<std::int64_t>(kept[0]),
                                          py::cast<std::int64_t>(kept[1]));
  histograms.set_states(states);
  return histograms;
}

}  // namespace

void bind_value_histogram(py::module_& module) {
  module.def("count_clipped", &count_clipped, py::arg("matrix"), py::arg("group"),
             py::arg("low").noconvert(), py::arg("high").noconvert(), py::arg("threads"),
             "Entries beyond the limits (groups,) of their group of columns.");
  py::class_<codes::Clipping>(module, "Clipping", py::module_local())
      .def(py::init([](const std::string& rule, double value) {
             if (rule == "optimal") return codes::Clipping{codes::ClipRule::kOptimal, value};
             if (rule == "max") return codes::Clipping{codes::ClipRule::kMaximum, value};
             if (rule == "quantile") return codes::Clipping{codes::ClipRule::kQuantile, value};
             if (rule == "value") return codes::Clipping{codes::ClipRule::kValue, value};
             throw py::value_error("unknown clipping rule: " + rule);
           }),
           py::arg("rule"), py::arg("value") = 0.0);

  py::class_<statistics::ValueHistogram>(module, "ValueHistogram", py::module_local())
      .def(py::init<int>(), py::arg("mantissa_bits") = 10)
      .def(
          "update",
          [](statistics::ValueHistogram& histogram, const py::array& matrix, int threads) {
            const base::MatrixView view = matrix_view(matrix);
            const py::gil_scoped_release release;
            statistics::add_matrix(histogram, view, threads);
          },
          py::arg("matrix"), py::arg("threads"), "Add all entries of a matrix.")
      .def("merge", &statistics::ValueHistogram::merge, py::arg("other"),
           py::call_guard<py::gil_scoped_release>(), "Add another histogram's entries.")
      .def(py::pickle(
          [](const statistics::ValueHistogram& histogram) { return as_array(histogram.state()); },
          [](const States& state) {
            return statistics::ValueHistogram::from_state(entries(state));
          }))
      .def_property_readonly("count", &statistics::ValueHistogram::count, "Entries added.")
      .def_property_readonly("nonfinite", &statistics::ValueHistogram::nonfinite,
                             "NaN and infinite entries.")
      .def_property_readonly("maximum", &statistics::ValueHistogram::maximum,
                             "Largest magnitude, exactly.")
      .def("bins", &bins_of, "Ascending means (float64) and counts (uint64) of bins in use.")
      .def("step",
           py::overload_cast<const statistics::ValueHistogram&, int, codes::Clipping>(
               &codes::choose_step),
           py::arg("bits"), py::arg("clipping"), py::call_guard<py::gil_scoped_release>(),
           "Distance between uniform levels under a clipping rule.");

  py::class_<statistics::ColumnHistograms>(module, "ColumnHistograms", py::module_local())
      .def(py::init<std::int64_t, std::int64_t, int>(), py::arg("dim"), py::arg("group") = 1,
           py::arg("mantissa_bits") = 8)
      .def(
          "update",
          [](statistics::ColumnHistograms& histograms, const py::array& matrix, int threads) {
            const base::MatrixView view = matrix_view(matrix);
            if (view.dim != histograms.dim()) {
              throw py::type_error("the matrix has another number of columns");
            }
            const py::gil_scoped_release release;
            histograms.add(view, threads);
          },
          py::arg("matrix"), py::arg("threads"), "Add all entries of a matrix.")
      .def("merge", &statistics::ColumnHistograms::merge, py::arg("other"),
           py::call_guard<py::gil_scoped_release>(), "Add other histograms' entries.")
      .def(py::pickle(&column_states, &columns_from))
      .def_property_readonly("nonfinite", &statistics::ColumnHistograms::nonfinite,
                             "NaN and infinite entries.")
      .def(
          "steps",
          [](const statistics::ColumnHistograms& histograms, int bits, codes::Clipping clipping,
             int threads) {
            py::array_t<float> steps(static_cast<py::ssize_t>(histograms.groups().size()));
            float* out = steps.mutable_data();
            const py::gil_scoped_release release;
            codes::choose_column_steps(histograms, bits, clipping, out, threads);
            return steps;
          },
          py::arg("bits"), py::arg("clipping"), py::arg("threads"),
          "Distance between uniform levels for each column, float32 (groups,).");
}

}  // namespace emcomp::bindings
