// A compressed table in a file, ready for lookups.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "emcomp/file/container.hpp"
#include "emcomp/readers/row_reader.hpp"
#include "emcomp/words/vocabulary.hpp"

namespace emcomp::file {

struct TableFile {
  std::string codec;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  std::shared_ptr<const readers::RowReader> reader;
  std::optional<words::Vocabulary> words;
};

// The table that a container holds, whose file must outlive it.
// Throws FormatError or CorruptFileError where its parts do not fit.
TableFile read_table(const Container& container);

}  // namespace emcomp::file
