#include "emcomp/words/vocabulary.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/words/closest_words.hpp"

namespace emcomp::bindings {

namespace {

using Bytes = DenseArray<std::uint8_t>;
using Offsets = DenseArray<std::uint64_t>;
using Slots = DenseArray<std::uint32_t>;

template <class T>
std::span<const T> span_of(const DenseArray<T>& array) {
  if (array.ndim() != 1) throw py::type_error("expected a one-dimensional array");
  return entries(array);
}

// The UTF-8 bytes of words, and the objects that hold them.
class WordBytes {
 public:
  std::string_view operator()(py::handle word) {
    if (PyUnicode_Check(word.ptr())) {
      Py_ssize_t size = 0;
      if (const char* text = PyUnicode_AsUTF8AndSize(word.ptr(), &size)) return as_word(text, size);
      PyErr_Clear();  // bytes that were not UTF-8 when the word was decoded
      PyObject* encoded = PyUnicode_AsEncodedString(word.ptr(), "utf-8", "surrogateescape");
      if (encoded == nullptr) {
        PyErr_Clear();
        throw InputError("the word " + py::repr(word).cast<std::string>() +
                         " has a surrogate that stands for no byte: it cannot be UTF-8");
      }
      word = held_.emplace_back(py::reinterpret_steal<py::object>(encoded));
    }
    if (!PyBytes_Check(word.ptr())) {
      throw py::type_error("a word is str or bytes, not " +
                           std::string(Py_TYPE(word.ptr())->tp_name));
    }
    return as_word(PyBytes_AS_STRING(word.ptr()), PyBytes_GET_SIZE(word.ptr()));
  }

 private:
  static std::string_view as_word(const char* text, Py_ssize_t size) {
    return {text, static_cast<std::size_t>(size)};
  }

  std::vector<py::object> held_;
};

py::tuple pack_words(const py::tuple& words) {
  WordBytes bytes_of;
  std::vector<std::string_view> list;
  list.reserve(words.size());
  Offsets offsets(static_cast<py::ssize_t>(words.size()) + 1);
  std::uint64_t total = 0;
  std::uint64_t* offset = offsets.mutable_data();
  *offset = 0;
  for (const py::handle word : words) {
    list.push_back(bytes_of(word));
    total += list.back().size();
    *++offset = total;
  }
  Bytes bytes(static_cast<py::ssize_t>(total));
  std::uint8_t* out = bytes.mutable_data();
  for (const std::string_view word : list) out = std::copy(word.begin(), word.end(), out);
  return py::make_tuple(bytes, offsets);
}

Slots build_index(const Bytes& bytes, const Offsets& offsets, int threads) {
  const words::WordList words{span_of(bytes), span_of(offsets)};
  if (offsets.size() < 1) throw py::type_error("offsets has at least one entry");
  Slots slots(words::index_slots(words.size()));
  const std::span<std::uint32_t> out(slots.mutable_data(), static_cast<std::size_t>(slots.size()));
  const py::gil_scoped_release release;
  words::build_index(words, out, threads);
  return slots;
}

// A vocabulary over arrays that it keeps alive.
class VocabularyView {
 public:
  VocabularyView(Bytes bytes, Offsets offsets, Slots slots)
      : bytes_(std::move(bytes)), offsets_(std::move(offsets)), slots_(std::move(slots)) {
    vocabulary_ = {{span_of(bytes_), span_of(offsets_)}, span_of(slots_)};
    if (offsets_.size() < 1) throw CorruptFileError("the vocabulary has no offsets");
    if (slots_.size() != words::index_slots(vocabulary_.words.size())) {
      throw CorruptFileError("the vocabulary's index has " + std::to_string(slots_.size()) +
                             " slots, " + std::to_string(vocabulary_.words.size()) +
                             " words need " +
                             std::to_string(words::index_slots(vocabulary_.words.size())));
    }
  }

  std::int64_t rows() const { return vocabulary_.words.size(); }

  py::object find(py::handle word) const {
    WordBytes bytes_of;
    const std::optional<std::int64_t> row = words::find(vocabulary_, bytes_of(word));
    return row ? py::object(py::int_(*row)) : py::object(py::none());
  }

  py::array_t<std::int64_t> find_many(const py::tuple& words, int threads) const {
    WordBytes bytes_of;
    std::vector<std::string_view> list;
    list.reserve(words.size());
    for (const py::handle word : words) list.push_back(bytes_of(word));
    py::array_t<std::int64_t> rows(static_cast<py::ssize_t>(list.size()));
    const std::span<std::int64_t> out(rows.mutable_data(), list.size());
    const py::gil_scoped_release release;
    words::find_many(vocabulary_, list, out, threads);
    return rows;
  }

  py::bytes word(std::int64_t row) const { return py::bytes(vocabulary_.words[row]); }

  std::vector<std::int64_t> closest(py::handle word, int count) const {
    WordBytes bytes_of;
    const std::string_view bytes = bytes_of(word);
    const py::gil_scoped_release release;
    return words::closest_words(vocabulary_.words, bytes, count);
  }

 private:
  Bytes bytes_;
  Offsets offsets_;
  Slots slots_;
  words::Vocabulary vocabulary_;
};

}  // namespace

void bind_vocabulary(py::module_& module) {
  module.def("pack_words", &pack_words, py::arg("words"),
             "The bytes of all words one after another, and the offset of each and of the end.");
  module.def("build_index", &build_index, py::arg("data").noconvert(),
             py::arg("offsets").noconvert(), py::arg("threads"),
             "The hash index of a list of words.");
  py::class_<VocabularyView>(module, "VocabularyView", py::module_local(),
                             "Finds words in arrays that it reads in place.")
      .def(py::init<Bytes, Offsets, Slots>(), py::arg("data").noconvert(),
           py::arg("offsets").noconvert(), py::arg("slots").noconvert())
      .def("__len__", &VocabularyView::rows)
      .def("find", &VocabularyView::find, py::arg("word"), "The row of a word, or None.")
      .def("find_many", &VocabularyView::find_many, py::arg("words"), py::arg("threads"),
           "The rows of words, -1 where a word is not there.")
      .def("word", &VocabularyView::word, py::arg("row"), "The bytes of the word of a row.")
      .def("closest", &VocabularyView::closest, py::arg("word"), py::arg("count"),
           "Rows of the nearest words, nearest first.");
}

}  // namespace emcomp::bindings
