#include "emcomp/base/checksum.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "bindings/bindings.hpp"

namespace emcomp::bindings {

namespace py = pybind11;

void bind_checksum(py::module_& module) {
  // Releasing the GIL costs more than hashing a few bytes.
  constexpr py::ssize_t kWorthReleasing = 4096;

  py::class_<base::Checksum>(module, "Checksum", py::module_local(),
                             "XXH64 with seed 0 of bytes that arrive piece by piece.")
      .def(py::init<>())
      .def(
          "update",
          [](base::Checksum& self, const py::array_t<std::uint8_t, py::array::c_style>& bytes) {
            const std::span view(bytes.data(), static_cast<std::size_t>(bytes.size()));
            if (bytes.size() < kWorthReleasing) {
              self.update(view);
              return;
            }
            const py::gil_scoped_release release;
            self.update(view);
          },
          py::arg("data").noconvert(), "Add the bytes of a uint8 array.")
      .def("digest", &base::Checksum::digest,
           "The hash of all bytes so far, as an unsigned integer.");
}

}  // namespace emcomp::bindings
