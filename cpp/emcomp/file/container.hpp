// The emcomp file as docs/format.md specifies it: named tensors and a description.
//
// Nothing in a file is trusted: every length is checked before it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace emcomp::file {

struct Tensor {
  std::string dtype;  // U8, F32, ...
  std::vector<std::int64_t> shape;
  std::span<const std::uint8_t> bytes;  // begins at a multiple of 64 of the file
};

using Tensors = std::map<std::string, Tensor>;

struct Container {
  Tensors tensors;                 // without the padding
  std::vector<std::string> names;  // in the order of their bytes
  std::string description;         // the text of a JSON object
  std::uint64_t checksum = 0;      // of the header, and so of all that it has checksums of
};

// Reads the header of a whole file and checks it, the padding, and the checksums of small tensors.
// Throws FormatError if this is not an emcomp file or one of another format version, and
// CorruptFileError if it is damaged.
Container read_container(std::span<const std::uint8_t> file);

// Called with the bytes of the file that have been checked.
using Progress = std::function<void(std::uint64_t checked)>;

// Reads a whole file and checks every byte. Throws as read_container, naming what is damaged first.
void verify_container(std::span<const std::uint8_t> file, const Progress& progress = {});

}  // namespace emcomp::file
