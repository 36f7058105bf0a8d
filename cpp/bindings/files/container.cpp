#include "emcomp/file/container.hpp"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <system_error>
#include <utility>

#include "bindings/bindings.hpp"
#include "bindings/tables/readers.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/file/header.hpp"
#include "emcomp/file/mapped_file.hpp"
#include "emcomp/file/table_file.hpp"

namespace emcomp::bindings {

namespace {

// The bytes of a path that the system takes.
std::string path_bytes(const py::object& path) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), &encoded) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(encoded);
}

// NumPy's type of a tensor; bfloat16, which NumPy lacks, as its bits.
py::dtype dtype_of_tensor(const file::Tensor& tensor) {
  if (tensor.dtype == "BF16") return py::dtype("<u2");
  const char kind = tensor.dtype[0] == 'U' ? 'u' : tensor.dtype[0] == 'I' ? 'i' : 'f';
  const int bytes = std::stoi(tensor.dtype.substr(1)) / 8;
  return py::dtype("<" + (kind + std::to_string(bytes)));
}

// Gives back the memory of an array in a file.
void forget(const file::MappedFile& file, const py::array& array) {
  const auto* first = static_cast<const std::uint8_t*>(array.data());
  const std::span<const std::uint8_t> bytes = file.bytes();
  const auto count = static_cast<std::size_t>(array.nbytes());
  const bool inside = first >= bytes.data() && first + count <= bytes.data() + bytes.size();
  if (!inside || !(array.flags() & py::array::c_style)) {
    throw py::type_error("the array must be dense and lie in the file");
  }
  if (count > 0) file.forget(static_cast<std::size_t>(first - bytes.data()), count);
}

// Runs work; what the core throws gets the path before its message.
template <class Work>
auto named(const std::string& path, Work work) {
  try {
    return work();
  } catch (const CorruptFileError& error) {
    throw CorruptFileError(path + ": " + error.what());
  } catch (const FormatError& error) {
    throw FormatError(path + ": " + error.what());
  }
}

// A file that is open. Views of its tensors keep the map alive, not this.
class Container {
 public:
  Container(const py::object& path, bool mapped) : path_(path_bytes(path)) {
    try {
      named(path_, [&] {
        const py::gil_scoped_release release;
        const file::Access access = mapped ? file::Access::kMapped : file::Access::kRead;
        file_ = std::make_shared<file::MappedFile>(path_, access);
        container_ = file::read_container(file_->bytes());
        if (!mapped) file::verify_container(file_->bytes(), {});
      });
    } catch (const std::system_error& error) {
      errno = error.code().value();
      PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path.ptr());
      throw py::error_already_set();
    }
  }

  std::vector<std::string> names() const { return container_.names; }
  std::shared_ptr<file::MappedFile> mapped_file() const { return file_; }
  std::size_t nbytes() const { return open_file().bytes().size(); }

  std::string checksum() const {
    constexpr std::size_t kDigits = 16;
    std::string digits(kDigits, '0');
    for (std::size_t i = 0; i < kDigits; ++i) {
      digits[i] = "0123456789abcdef"[container_.checksum >> 4 * (kDigits - 1 - i) & 15];
    }
    return digits;
  }

  py::object table() const {
    return py::module_::import("json").attr("loads")(container_.description);
  }

  py::array tensor(const std::string& name) const {
    open_file();
    const auto found = container_.tensors.find(name);
    if (found == container_.tensors.end()) {
      named(path_, [&] {
        throw FormatError("the file has no tensor " + std::string(py::repr(py::str(name))) +
                          ", only " + std::string(py::repr(py::cast(container_.names))));
      });
    }
    const file::Tensor& tensor = found->second;
    py::array view(dtype_of_tensor(tensor), tensor.shape, tensor.bytes.data(), py::cast(file_));
    py::detail::array_proxy(view.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
    return view;
  }

  void verify(const std::function<void(std::uint64_t, std::uint64_t)>& progress) const {
    open_file();
    const std::shared_ptr<const file::MappedFile> file = file_;  // another thread may close this
    const std::span<const std::uint8_t> bytes = file->bytes();
    file::Progress report;
    if (progress) {
      report = [&](std::uint64_t checked) {
        const py::gil_scoped_acquire acquire;
        progress(checked, bytes.size());
      };
    }
    named(path_, [&] {
      const py::gil_scoped_release release;
      file::verify_container(bytes, report);
    });
  }

  py::tuple read_table() const {
    open_file();
    return named(path_, [&] {
      file::TableFile table = file::read_table(container_);
      const py::tuple shape = py::make_tuple(table.rows, table.dim);
      return py::make_tuple(table.codec, shape, Reader(std::move(table.reader), {py::cast(file_)}));
    });
  }

  void close() {
    file_.reset();
    container_ = {};
  }

 private:
  const file::MappedFile& open_file() const {
    if (!file_) throw py::value_error(path_ + " is closed");
    return *file_;
  }

  std::string path_;
  std::shared_ptr<file::MappedFile> file_;
  file::Container container_;
};

}  // namespace

void bind_container(py::module_& module) {
  py::class_<file::MappedFile, std::shared_ptr<file::MappedFile>>(
      module, "MappedFile", py::module_local(), "What the tensors of an open file are views of.")
      .def("forget", &forget, py::arg("array"),
           "Give back the memory of an array in the file; whoever reads it gets its pages again.")
      .def("check_unchanged", &file::MappedFile::check_unchanged,
           "Raise CorruptFileError if the file was changed in place since it was opened.");
  module.def("check_description", &file::check_description, py::arg("text"),
             "Raise FormatError unless a text is the JSON of a description that readers take.");
  py::class_<Container>(
      module, "Container", py::module_local(),
      "An open emcomp file: a description of a table and read-only views of its tensors.\n\n"
      "The views are the mapped file itself: nothing is read before it is used, and processes "
      "that\n"
      "open the same file share its memory. Any number of threads may read. The file must not be\n"
      "changed in place while it is open; replacing it, as ``write`` does, is safe.")
      .def(py::init<const py::object&, bool>(), py::arg("path"), py::arg("mapped") = true)
      .def_property_readonly("file", &Container::mapped_file, "What the tensors are views of.")
      .def_property_readonly("table", &Container::table,
                             "The description of the table that the file was written with.")
      .def_property_readonly("checksum", &Container::checksum,
                             "The checksum of the header, and so of all that it has checksums of.")
      .def_property_readonly("names", &Container::names,
                             "Names of the tensors, in the order of their bytes.")
      .def_property_readonly("nbytes", &Container::nbytes, "Bytes of the whole file.")
      .def("tensor", &Container::tensor, py::arg("name"),
           "A read-only view of a tensor in the mapped file; BF16 comes as uint16 bits.")
      .def("verify", &Container::verify, py::arg("progress") = py::none(),
           "Read the whole file and check every byte of it.\n\n"
           "``progress`` is called with bytes checked and bytes in total, again and again.")
      .def("read_table", &Container::read_table,
           "The codec's string, the shape and a reader of the rows of the table in the file.")
      .def("close", &Container::close, "Give the map back as soon as no view of a tensor is left.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](Container& self, const py::args&) { self.close(); });
}

}  // namespace emcomp::bindings
