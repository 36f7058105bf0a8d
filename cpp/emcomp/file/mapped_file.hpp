// A file in memory, read-only. No file descriptor stays open.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace emcomp::file {

enum class Access {
  kMapped,  // pages are read when used, and shared between processes
  kRead,    // a copy, which no change of the file touches
};

class MappedFile {
 public:
  // Never waits. Throws std::system_error if the file cannot be mapped, and FormatError for what is
  // not a file at all.
  explicit MappedFile(const std::string& path, Access access = Access::kMapped);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Begins at a page. Empty for an empty file.
  std::span<const std::uint8_t> bytes() const {
    return {static_cast<const std::uint8_t*>(begin_), size_};
  }

  // Throws CorruptFileError if the mapped file has been written to or cut since it was opened. One
  // that another file has replaced is as it was.
  void check_unchanged() const;

  // Gives back the memory of the mapped pages of bytes [first, first + count), which lie within the
  // file. Whoever reads them again gets them from the file again.
  void forget(std::size_t first, std::size_t count) const;

 private:
  void copy(int descriptor);

  std::string path_;
  Access access_;
  struct stat opened_{};
  void* begin_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace emcomp::file
