// The extension module of one instruction-set level. Classes are module-local, so that several
// levels can be loaded side by side in one process.

#include <string_view>

#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"

namespace py = pybind11;

#define EMCOMP_CONCATENATE(a, b) a##b
#define EMCOMP_MODULE_NAME(level) EMCOMP_CONCATENATE(_core_, level)

namespace {

void raise_as(const char* name, const std::exception& error) {
  const py::object kind = py::module_::import("emcomp.errors").attr(name);
  // A message may quote a file's bytes, which need not be UTF-8.
  const std::string_view text = error.what();
  const auto message = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<py::ssize_t>(text.size()), "backslashreplace"));
  py::set_error(kind, message);
}

}  // namespace

PYBIND11_MODULE(EMCOMP_MODULE_NAME(EMCOMP_LEVEL), module, py::mod_gil_not_used()) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    if (!pointer) return;
    try {
      std::rethrow_exception(pointer);
    } catch (const emcomp::CorruptFileError& error) {
      raise_as("CorruptFileError", error);
    } catch (const emcomp::FormatError& error) {
      raise_as("FormatError", error);
    } catch (const emcomp::InputError& error) {
      raise_as("InputError", error);
    }
  });

  // Objects that are pickled at one level are to be had at any other.
  module.attr("__name__") = "emcomp._core";
  module.doc() = "The compiled core of emcomp at one instruction-set level.";
  module.def("default_threads", &emcomp::base::default_threads,
             "Threads to use where none are named: EMCOMP_NUM_THREADS, else OpenMP's default.");
  emcomp::bindings::bind_bit_packing(module);
  emcomp::bindings::bind_uniform(module);
  emcomp::bindings::bind_value_histogram(module);
  emcomp::bindings::bind_levels(module);
  emcomp::bindings::bind_row_reader(module);
  emcomp::bindings::bind_container(module);
  emcomp::bindings::bind_checksum(module);
  emcomp::bindings::bind_vocabulary(module);
  emcomp::bindings::bind_vectors(module);
  emcomp::bindings::bind_squared_error(module);
  emcomp::bindings::bind_transforms(module);
  emcomp::bindings::bind_gram(module);
  emcomp::bindings::bind_neighbours(module);
  emcomp::bindings::bind_kmeans(module);
  emcomp::bindings::bind_product_quantizer(module);
  emcomp::bindings::bind_residual_quantizer(module);
  emcomp::bindings::bind_compositional_codes(module);
  emcomp::bindings::bind_additive_refinement(module);
  emcomp::bindings::bind_autoencoder(module);
  emcomp::bindings::bind_trellis(module);
}
