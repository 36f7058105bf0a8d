#include "emcomp/file/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace emcomp::file {

namespace {

[[noreturn]] void fail(int error) {
  throw std::system_error(error, std::generic_category(), "the file cannot be read");
}

// An open file descriptor; the map outlives it.
struct Descriptor {
  explicit Descriptor(const std::string& path) : number(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
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
  if (about.st_size == 0) return;
  size_ = static_cast<std::size_t>(about.st_size);
  begin_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.number, 0);
  if (begin_ == MAP_FAILED) fail(errno);
}

MappedFile::~MappedFile() {
  if (size_ > 0) munmap(begin_, size_);
}

}  // namespace emcomp::file
