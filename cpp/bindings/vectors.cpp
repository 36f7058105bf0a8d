// Reading and writing files of word vectors.

#include <memory>
#include <utility>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/binary_vectors.hpp"
#include "emcomp/duplicates.hpp"
#include "emcomp/errors.hpp"
#include "emcomp/fasttext.hpp"
#include "emcomp/text_vectors.hpp"

namespace emcomp::bindings {

namespace {

using Bytes = DenseArray<std::uint8_t>;
using Offsets = DenseArray<std::uint64_t>;
using Rows = DenseArray<float>;

std::span<const char> text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(bytes.size())};
}

RowBlock row_block(Rows& rows) {
  if (rows.ndim() != 2) throw py::type_error("expected a two-dimensional array");
  return {rows.mutable_data(), rows.shape(0), rows.shape(1)};
}

// The words must be sound: offsets from 0 to the number of bytes, never falling.
WordView word_view(const Bytes& bytes, const Offsets& offsets) {
  const WordView words{
      {bytes.data(), static_cast<std::size_t>(bytes.size())},
      {offsets.data(), static_cast<std::size_t>(offsets.size())},
  };
  bool sound = !words.offsets.empty() && words.offsets.front() == 0 &&
               words.offsets.back() == words.bytes.size();
  for (std::size_t i = 1; i < words.offsets.size(); ++i) {
    sound = sound && words.offsets[i - 1] <= words.offsets[i];
  }
  if (!sound) throw InputError("the offsets of the words do not fit their bytes");
  return words;
}

template <class T>
py::array_t<T> array_of(std::vector<T>&& values) {
  auto owner = std::make_unique<std::vector<T>>(std::move(values));
  std::vector<T>* const kept = owner.release();
  const py::capsule free(kept, [](void* at) { delete static_cast<std::vector<T>*>(at); });
  return py::array_t<T>(static_cast<py::ssize_t>(kept->size()), kept->data(), free);
}

py::tuple arrays_of(WordList&& words) {
  return py::make_tuple(array_of(std::move(words.bytes)), array_of(std::move(words.offsets)));
}

void bind_format(py::module_& module, const char* name,
                 std::string (*format)(const MatrixView&, const WordView&, int)) {
  module.def(
      name,
      [format](const py::array& matrix, const Bytes& word_bytes, const Offsets& word_offsets,
               int threads) {
        const MatrixView view = matrix_view(matrix);
        const WordView words = word_view(word_bytes, word_offsets);
        if (words.size() != view.rows) throw InputError("each row needs one word");
        std::string text;
        {
          const py::gil_scoped_release release;
          text = format(view, words, threads);
        }
        return py::bytes(text);
      },
      py::arg("matrix"), py::arg("word_bytes").noconvert(), py::arg("word_offsets").noconvert(),
      py::arg("threads"));
}

struct FastTextFile {
  Bytes file;  // keeps the mapped matrix alive
  FastTextModel model;
};

}  // namespace

void bind_vectors(py::module_& module) {
  module.def(
      "count_lines",
      [](const Bytes& text, int threads) {
        const auto view = text_of(text);
        const py::gil_scoped_release release;
        return count_lines(view, threads);
      },
      py::arg("text").noconvert(), py::arg("threads"));

  module.def(
      "parse_lines",
      [](const Bytes& text, std::int64_t first_line, Rows out, int threads) {
        const auto view = text_of(text);
        const RowBlock rows = row_block(out);
        WordList words;
        {
          const py::gil_scoped_release release;
          words = parse_lines(view, first_line, rows, threads);
        }
        return arrays_of(std::move(words));
      },
      py::arg("text").noconvert(), py::arg("first_line"), py::arg("out").noconvert(),
      py::arg("threads"));

  bind_format(module, "format_lines", &format_lines);
  bind_format(module, "format_binary", &format_binary);

  module.def(
      "check_words",
      [](const Bytes& word_bytes, const Offsets& word_offsets, bool spaces_allowed) {
        const WordView words = word_view(word_bytes, word_offsets);
        const py::gil_scoped_release release;
        check_words(words, spaces_allowed);
      },
      py::arg("word_bytes").noconvert(), py::arg("word_offsets").noconvert(),
      py::arg("spaces_allowed"));

  module.def(
      "first_occurrences",
      [](const Bytes& word_bytes, const Offsets& word_offsets) {
        const WordView words = word_view(word_bytes, word_offsets);
        std::vector<std::int64_t> first;
        {
          const py::gil_scoped_release release;
          first = first_occurrences(words);
        }
        return array_of(std::move(first));
      },
      py::arg("word_bytes").noconvert(), py::arg("word_offsets").noconvert());

  module.def(
      "read_binary_rows",
      [](const Bytes& file, std::int64_t position, std::int64_t first_row, Rows out, int threads) {
        const auto view = text_of(file);
        const RowBlock rows = row_block(out);
        if (position < 0 || position > static_cast<std::int64_t>(view.size())) {
          throw InputError("the position is outside of the file");
        }
        BinaryRows result;
        {
          const py::gil_scoped_release release;
          result = read_binary_rows(view, position, first_row, rows, threads);
        }
        const auto [bytes, offsets] = std::pair(array_of(std::move(result.words.bytes)),
                                                array_of(std::move(result.words.offsets)));
        return py::make_tuple(bytes, offsets, result.end);
      },
      py::arg("file").noconvert(), py::arg("position"), py::arg("first_row"),
      py::arg("out").noconvert(), py::arg("threads"));

  module.def(
      "whole_binary_rows",
      [](const Bytes& window, std::int64_t dim, std::int64_t most, bool at_end) {
        const auto view = text_of(window);
        // A vector longer than any file would overflow its number of bytes.
        if (dim < 1 || dim > (std::int64_t{1} << 60)) throw InputError("dim is out of range");
        BinarySpan found;
        {
          const py::gil_scoped_release release;
          found = whole_binary_rows(view, dim, most, at_end);
        }
        return std::pair(found.rows, found.end);
      },
      py::arg("window").noconvert(), py::arg("dim"), py::arg("most"), py::arg("at_end"));

  py::class_<FastTextFile>(module, "FastTextFile", py::module_local())
      .def(py::init([](const Bytes& file) {
             const auto view = text_of(file);
             FastTextModel model;
             {
               const py::gil_scoped_release release;
               model = open_fasttext(view);
             }
             return FastTextFile{file, std::move(model)};
           }),
           py::arg("file").noconvert())
      .def_property_readonly(
          "shape",
          [](const FastTextFile& self) { return std::pair(self.model.rows(), self.model.dim); })
      .def("words", [](const FastTextFile& self) { return arrays_of(WordList(self.model.words)); })
      .def(
          "read",
          [](const FastTextFile& self, std::int64_t first, Rows out, int threads) {
            const RowBlock rows = row_block(out);
            const py::gil_scoped_release release;
            fasttext_rows(self.model, first, rows, threads);
          },
          py::arg("first"), py::arg("out").noconvert(), py::arg("threads"));
}

}  // namespace emcomp::bindings
