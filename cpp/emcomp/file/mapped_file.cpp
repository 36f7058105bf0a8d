#include "emcomp/file/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "emcomp/base/errors.hpp"

namespace emcomp::file {

namespace {

[[noreturn]] void fail(int error) {
  throw std::system_error(error, std::generic_category(), "the file cannot be read");
}

// An open file descriptor; the map outlives it. Opening a pipe does not wait for its writer.
struct Descriptor {
  explicit Descriptor(const std::string& path)
      : number(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (number < 0) fail(errno);
  }
  ~Descriptor() { close(number); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number;
};

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file(path);
  struct stat about{};
  if (fstat(file.number, &about) != 0) fail(errno);
  if (S_ISDIR(about.st_mode)) fail(EISDIR);
  if (!S_ISREG(about.st_mode)) throw FormatError("not a regular file, but a pipe or a device");
  if (about.st_size == 0) return;
  const auto size = static_cast<std::size_t>(about.st_size);
  void* begin = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number, 0);
  if (begin == MAP_FAILED) fail(errno);
  begin_ = begin;
  size_ = size;
}

MappedFile::~MappedFile() {
  if (size_ > 0) munmap(begin_, size_);
}

void MappedFile::forget(std::size_t first, std::size_t count) const {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t from = first - first % page;
  madvise(static_cast<std::uint8_t*>(begin_) + from, first + count - from, MADV_DONTNEED);
}

}  // namespace emcomp::file
