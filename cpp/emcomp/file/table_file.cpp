#include "emcomp/file/table_file.hpp"

#include <string>
#include <utility>

#include "emcomp/base/errors.hpp"
#include "emcomp/file/codec_reader.hpp"

namespace emcomp::file {

namespace {

// Offsets of columns and of their levels are kept in 32 bits.
constexpr std::int64_t kLargestDim = std::int64_t{1} << 26;

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

TableFile open_table(std::span<const std::uint8_t> file) {
  TableFile table{.container = read_container(file), .reader = nullptr, .words = {}};
  const Container& container = table.container;
  if (container.rows < 1 || container.dim < 1 || container.dim > kLargestDim) {
    throw FormatError("a table of " + std::to_string(container.rows) + " x " +
                      std::to_string(container.dim) + " cannot be read");
  }
  table.words = read_words(container.tensors);
  if (table.words && table.words->words.size() != container.rows) {
    throw FormatError("a table of " + std::to_string(container.rows) + " rows with " +
                      std::to_string(table.words->words.size()) + " words");
  }
  table.reader =
      make_codec_reader(container.codec, container.rows, container.dim, container.tensors);
  return table;
}

}  // namespace emcomp::file
