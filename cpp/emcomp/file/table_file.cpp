#include "emcomp/file/table_file.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/file/codec_reader.hpp"
#include "emcomp/file/json.hpp"

namespace emcomp::file {

namespace {

// Reads the codec and the shape from a file's description.
void read_description(const std::string& text, TableFile& table) {
  JsonReader json(text, "the description of the table");
  std::vector<std::int64_t> shape;
  std::size_t found = 0;
  json.object([&](const std::string& key) {
    found += key == "codec" || key == "shape" || key == "info" ? 1 : 0;
    if (key == "codec") {
      table.codec = json.string();
    } else if (key == "shape") {
      json.array([&] { shape.push_back(json.size()); });
    } else if (key == "info") {
      json.object_text();
    } else {
      json.skip();
    }
  });
  if (found != 3 || shape.size() != 2) {
    throw FormatError(
        "the description of the table must have a codec, a shape of 2 sizes, and info");
  }
  table.rows = shape[0];
  table.dim = shape[1];
}

template <class T>
std::span<const T> entries(const Tensors& tensors, const std::string& name,
                           std::string_view dtype) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.dtype != dtype || found->second.shape.size() != 1) {
    throw CorruptFileError("the file lacks the tensor '" + name + "' of type " +
                           std::string(dtype));
  }
  const std::span<const std::uint8_t> bytes = found->second.bytes;
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

std::optional<words::Vocabulary> read_words(const Tensors& tensors) {
  const auto first = tensors.lower_bound("vocabulary.");
  if (first == tensors.end() || !first->first.starts_with("vocabulary.")) return std::nullopt;
  const auto is_word_tensor = [](const auto& item) {
    return item.first.starts_with("vocabulary.");
  };
  if (std::count_if(tensors.begin(), tensors.end(), is_word_tensor) > 3) {
    throw CorruptFileError("the vocabulary has more tensors than bytes, offsets and index");
  }
  const words::Vocabulary words{{entries<std::uint8_t>(tensors, "vocabulary.bytes", "U8"),
                                 entries<std::uint64_t>(tensors, "vocabulary.offsets", "U64")},
                                entries<std::uint32_t>(tensors, "vocabulary.index", "U32")};
  if (words.words.offsets.empty() ||
      std::cmp_not_equal(words.slots.size(), words::index_slots(words.words.size()))) {
    throw CorruptFileError("the vocabulary's tensors do not fit each other");
  }
  return words;
}

}  // namespace

TableFile read_table(const Container& container) {
  TableFile table;
  read_description(container.description, table);
  table.words = read_words(container.tensors);
  if (table.words && table.words->words.size() != table.rows) {
    throw FormatError("a table of " + std::to_string(table.rows) + " rows with " +
                      std::to_string(table.words->words.size()) + " words");
  }
  table.reader = make_codec_reader(table.codec, table.rows, table.dim, container.tensors);
  return table;
}

}  // namespace emcomp::file
