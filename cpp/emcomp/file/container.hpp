// The emcomp file as docs/format.md specifies it: named tensors and what they are a table of.
//
// Nothing in a file is trusted: every length is checked before it is used.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace emcomp::file {

struct Tensor {
  std::string dtype;  // U8, F32, ...
  std::vector<std::int64_t> shape;
  std::span<const std::uint8_t> bytes;  // begins at a multiple of 64 of the file
  std::uint64_t checksum = 0;
};

using Tensors = std::map<std::string, Tensor>;

struct Container {
  Tensors tensors;  // without the padding
  std::string codec;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
};

// Reads the header of a whole file and checks it, the padding, and the checksums of small tensors.
// Throws FormatError if this is not an emcomp file or one of another format version, and
// CorruptFileError if it is damaged.
Container read_container(std::span<const std::uint8_t> file);

// Checks the bytes of all tensors. Throws CorruptFileError naming the first that is damaged.
void verify_tensors(const Container& container);

}  // namespace emcomp::file
