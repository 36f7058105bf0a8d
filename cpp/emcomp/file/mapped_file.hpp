// A file mapped into memory, read-only: pages are read when used and shared between processes. No
// file descriptor stays open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace emcomp::file {

class MappedFile {
 public:
  // Never waits. Throws std::system_error if the file cannot be mapped, and FormatError for what is
  // not a file at all.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Begins at a page. Empty for an empty file.
  std::span<const std::uint8_t> bytes() const {
    return {static_cast<const std::uint8_t*>(begin_), size_};
  }

  // Gives back the memory of the pages of bytes [first, first + count), which lie within the file.
  // Whoever reads them again gets them from the file again.
  void forget(std::size_t first, std::size_t count) const;

 private:
  void* begin_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace emcomp::file
