// A file mapped into memory, read-only: pages are read when used and shared between processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace emcomp::file {

class MappedFile {
 public:
  // Throws std::system_error if the file cannot be mapped.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Begins at a page. Empty for an empty file.
  std::span<const std::uint8_t> bytes() const {
    return {static_cast<const std::uint8_t*>(begin_), size_};
  }

 private:
  void* begin_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace emcomp::file
