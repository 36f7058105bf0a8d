// The extension module of one instruction-set level. Classes are module-local, so that several
// levels can be loaded side by side in one process.

#include "bindings/bindings.hpp"
#include "emcomp/errors.hpp"
#include "emcomp/parallel.hpp"

namespace py = pybind11;

#define EMCOMP_CONCATENATE(a, b) a##b
#define EMCOMP_MODULE_NAME(level) EMCOMP_CONCATENATE(_core_, level)

namespace {

void raise_as(const char* name, const std::exception& error) {
  const py::object kind = py::module_::import("emcomp.errors").attr(name);
  py::set_error(kind, error.what());
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

  module.doc() = "The compiled core of emcomp at one instruction-set level.";
  module.def("default_threads", &emcomp::default_threads, "Threads that OpenMP starts by default.");
  emcomp::bindings::bind_gram(module);
  emcomp::bindings::bind_neighbours(module);
}
