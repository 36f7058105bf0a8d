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

MappedFile::MappedFile(const std::string& path, Access access) : path_(path), access_(access) {
  const Descriptor file(path);
  if (fstat(file.number, &opened_) != 0) fail(errno);
  if (S_ISDIR(opened_.st_mode)) fail(EISDIR);
  if (!S_ISREG(opened_.st_mode)) throw FormatError("not a regular file, but a pipe or a device");
  if (opened_.st_size == 0) return;
  const auto size = static_cast<std::size_t>(opened_.st_size);
  void* begin =
      access == Access::kMapped
          ? mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number, 0)
          : mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) fail(errno);
  begin_ = begin;
  size_ = size;
  if (access == Access::kRead) copy(file.number);
}

void MappedFile::copy(int descriptor) {
  for (std::size_t filled = 0; filled < size_;) {
    const ssize_t count =
        read(descriptor, static_cast<std::uint8_t*>(begin_) + filled, size_ - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = errno;
      munmap(begin_, size_);
      size_ = 0;
      if (count == 0) throw CorruptFileError("the file was cut short while it was read");
      fail(error);
    }
    filled += static_cast<std::size_t>(count);
  }
}

void MappedFile::check_unchanged() const {
  if (access_ == Access::kRead) return;
  struct stat now{};
  if (stat(path_.c_str(), &now) != 0) return;  // removed: the map keeps what was there
  if (now.st_ino != opened_.st_ino || now.st_dev != opened_.st_dev) return;
  if (now.st_size == opened_.st_size && now.st_mtim.tv_sec == opened_.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == opened_.st_mtim.tv_nsec) {
    return;
  }
  throw CorruptFileError(path_ +
                         ": the file has been changed in place since it was opened; open it again, "
                         "and replace files by renaming others");
}

MappedFile::~MappedFile() {
  if (size_ > 0) munmap(begin_, size_);
}

void MappedFile::forget(std::size_t first, std::size_t count) const {
  if (access_ == Access::kRead) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t from = first - first % page;
  madvise(static_cast<std::uint8_t*>(begin_) + from, first + count - from, MADV_DONTNEED);
}

}  // namespace emcomp::file
