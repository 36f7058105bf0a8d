#include "emcomp/base/checksum.hpp"

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"

namespace emcomp::bindings {

void bind_checksum(py::module_& module) {
  // Releasing the GIL costs more than hashing a few bytes.
  constexpr py::ssize_t kWorthReleasing = 4096;

  py::class_<base::Checksum>(module, "Checksum", py::module_local(),
                             "XXH64 with seed 0 of bytes that arrive piece by piece.")
      .def(py::init<>())
      .def(
          "update",
          [](base::Checksum& self, const DenseArray<std::uint8_t>& bytes) {
            const auto view = entries(bytes);
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
