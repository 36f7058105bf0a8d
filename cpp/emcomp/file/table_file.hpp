// A compressed table in a file, ready for lookups.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "emcomp/file/container.hpp"
#include "emcomp/readers/row_reader.hpp"
#include "emcomp/words/vocabulary.hpp"

namespace emcomp::file {

struct TableFile {
  Container container;
  std::shared_ptr<const readers::RowReader> reader;
  std::optional<words::Vocabulary> words;
};

// The table in the bytes of an emcomp file, which must outlive it and begin at a multiple of 64.
// Throws FormatError or CorruptFileError, as read_container, also where the parts do not fit.
TableFile open_table(std::span<const std::uint8_t> file);

}  // namespace emcomp::file
