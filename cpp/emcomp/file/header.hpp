// The header of an emcomp file: where its tensors lie, their checksums, and a description.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emcomp::file {

using Bytes = std::span<const std::uint8_t>;

struct Place {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // from the end of the header
  std::uint64_t end = 0;
};

struct Header {
  std::vector<Place> places;  // in the order of their bytes, which they fill up to `end`
  std::uint64_t end = 0;
  std::map<std::string, std::uint64_t> checksums;
  std::string description;  // the text of a JSON object
};

// The length word of a file and the header that follows it. Throws FormatError if this is not an
// emcomp file, and CorruptFileError if its header is cut short or too long.
Bytes header_bytes(Bytes file);

// Reads and checks a header. Throws CorruptFileError if it is damaged, and FormatError if it is of
// another format version.
Header read_header(Bytes header);

// Throws FormatError unless a text is the JSON of a description that readers take.
void check_description(std::string_view text);

}  // namespace emcomp::file
