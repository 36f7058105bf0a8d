// Reading and writing files of word vectors.

#include <memory>
#include <utility>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/vectors/binary_vectors.hpp"
#include "emcomp/vectors/fasttext.hpp"
#include "emcomp/vectors/text_vectors.hpp"
#include "emcomp/words/duplicates.hpp"

namespace emcomp::bindings {

namespace {

using Bytes = DenseArray<std::uint8_t>;
using Offsets = DenseArray<std::uint64_t>;
using Rows = DenseArray<float>;

std::span<const char> text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(bytes.size())};
}

vectors::RowBlock row_block(Rows& rows) {
  if (rows.ndim() != 2) throw py::type_error("expected a two-dimensional array");
  return {rows.mutable_data(), rows.shape(0), rows.shape(1)};
}

words::WordList word_list(const Bytes& bytes, const Offsets& offsets) {
  const words::WordList words{
      {bytes.data(), static_cast<std::size_t>(bytes.size())},
      {offsets.data(), static_cast<std::size_t>(offsets.size())},
  };
  if (!words.is_sound()) throw InputError("the offsets of the words do not fit their bytes");
  return words;
}

template <class T>
py::array_t<T> array_of(std::vector<T>&& values) {
  auto owner = std::make_unique<std::vector<T>>(std::move(values));
  std::vector<T>* const kept = owner.release();
  const py::capsule free(kept, [](void* at) { delete static_cast<std::vector<T>*>(at); });
  return py::array_t<T>(static_cast<py::ssize_t>(kept->size()), kept->data(), free);
}

py::tuple arrays_of(words::WordBuffer&& words) {
  return py::make_tuple(array_of(std::move(words.bytes)), array_of(std::move(words.offsets)));
}

void bind_format(py::module_& module, const char* name,
                 std::string (*format)(const base::MatrixView&, const words::WordList&, int)) {
  module.def(
      name,
      [format](const py::array& matrix, const Bytes& word_bytes, const Offsets& word_offsets,
               int threads) {
        const base::MatrixView view = matrix_view(matrix);
        const words::WordList words = word_list(word_bytes, word_offsets);
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
  vectors::FastTextModel model;
};

}  // namespace

void bind_vectors(py::module_& module) {
  module.def(
      "count_lines",
      [](const Bytes& text, int threads) {
        const auto view = text_of(text);
        const py::gil_scoped_release release;
        return vectors::count_lines(view, threads);
      },
      py::arg("text").noconvert(), py::arg("threads"));

  module.def(
      "parse_lines",
      [](const Bytes& text, std::int64_t first_line, Rows out, int threads) {
        const auto view = text_of(text);
        const vectors::RowBlock rows = row_block(out);
        words::WordBuffer words;
        {
          const py::gil_scoped_release release;
          words = vectors::parse_lines(view, first_line, rows, threads);
        }
        return arrays_of(std::move(words));
      },
      py::arg("text").noconvert(), py::arg("first_line"), py::arg("out").noconvert(),
      py::arg("threads"));

  bind_format(module, "format_lines", &vectors::format_lines);
  bind_format(module, "format_binary", &vectors::format_binary);

  module.def(
      "check_words",
      [](const Bytes& word_bytes, const Offsets& word_offsets, bool spaces_allowed) {
        const words::WordList words = word_list(word_bytes, word_offsets);
        const py::gil_scoped_release release;
        vectors::check_words(words, spaces_allowed);
      },
      py::arg("word_bytes").noconvert(), py::arg("word_offsets").noconvert(),
      py::arg("spaces_allowed"));

  module.def(
      "first_occurrences",
      [](const Bytes& word_bytes, const Offsets& word_offsets) {
        const words::WordList words = word_list(word_bytes, word_offsets);
        std::vector<std::int64_t> first;
        {
          const py::gil_scoped_release release;
          first = words::first_occurrences(words);
        }
        return array_of(std::move(first));
      },
      py::arg("word_bytes").noconvert(), py::arg("word_offsets").noconvert());

  module.def(
      "read_binary_rows",
      [](const Bytes& file, std::int64_t position, std::int64_t first_row, Rows out, int threads) {
        const auto view = text_of(file);
        const vectors::RowBlock rows = row_block(out);
        if (position < 0 || position > static_cast<std::int64_t>(view.size())) {
          throw InputError("the position is outside of the file");
        }
        vectors::BinaryRows result;
        {
          const py::gil_scoped_release release;
          result = vectors::read_binary_rows(view, position, first_row, rows, threads);
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
        vectors::WholeRows found;
        {
          const py::gil_scoped_release release;
          found = vectors::whole_binary_rows(view, dim, most, at_end);
        }
        return std::pair(found.rows, found.end);
      },
      py::arg("window").noconvert(), py::arg("dim"), py::arg("most"), py::arg("at_end"));

  py::class_<FastTextFile>(module, "FastTextFile", py::module_local())
      .def(py::init([](const Bytes& file) {
             const auto view = text_of(file);
             vectors::FastTextModel model;
             {
               const py::gil_scoped_release release;
               model = vectors::open_fasttext(view);
             }
             return FastTextFile{file, std::move(model)};
           }),
           py::arg("file").noconvert())
      .def_property_readonly(
          "shape",
          [](const FastTextFile& self) { return std::pair(self.model.rows(), self.model.dim); })
      .def("words",
           [](const FastTextFile& self) { return arrays_of(words::WordBuffer(self.model.words)); })
      .def(
          "read",
          [](const FastTextFile& self, std::int64_t first, Rows out, int threads) {
            const vectors::RowBlock rows = row_block(out);
            const py::gil_scoped_release release;
            vectors::fasttext_rows(self.model, first, rows, threads);
          },
          py::arg("first"), py::arg("out").noconvert(), py::arg("threads"));
}

}  // namespace emcomp::bindings
