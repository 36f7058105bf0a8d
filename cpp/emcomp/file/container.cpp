#include "emcomp/file/container.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "emcomp/base/checksum.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/file/header.hpp"

namespace emcomp::file {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kCheckedOnOpen = std::size_t{64} << 10;  // larger tensors only by verify
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;      // checked between two reports
constexpr const char* kRemedy = ". Copy the file again or compress the table again";

std::string place_text(std::uint64_t begin, std::uint64_t end) {
  return "bytes " + std::to_string(begin) + " to " + std::to_string(end);
}

[[noreturn]] void damaged(const std::string& problem) {
  throw CorruptFileError("damaged header: " + problem + kRemedy);
}

// Reads a container, with the checksums of tensors of at most `largest` bytes.
class FileCheck {
 public:
  FileCheck(Bytes file, std::size_t largest, Progress progress)
      : file_(file), largest_(largest), progress_(std::move(progress)), head_(header_bytes(file)) {}

  Container read() const {
    Header header = read_header(head_);
    if (head_.size() + header.end != file_.size()) {
      damaged("the tensors end at byte " + std::to_string(head_.size() + header.end) +
              " and the file at byte " + std::to_string(file_.size()));
    }
    Container container{.tensors = {},
                        .names = {},
                        .description = std::move(header.description),
                        .checksum = base::checksum(head_)};
    for (const Place& place : header.places) check_place(place, header.checksums);
    const auto padding = std::count_if(header.places.begin(), header.places.end(), is_padding);
    if (header.places.size() != header.checksums.size() + static_cast<std::size_t>(padding)) {
      damaged("there are checksums of tensors that are missing");
    }
    for (Place& place : header.places) {
      const Bytes bytes = bytes_of(place);
      if (is_padding(place)) {
        check_zeros(place, bytes);
        continue;
      }
      check_bytes(place, bytes, header.checksums.at(place.name));
      container.names.push_back(place.name);
      container.tensors[place.name] = {std::move(place.dtype), std::move(place.shape), bytes};
    }
    return container;
  }

 private:
  static bool is_padding(const Place& place) { return place.name.starts_with("padding."); }

  std::uint64_t begin_of(const Place& place) const { return head_.size() + place.begin; }

  Bytes bytes_of(const Place& place) const {
    return file_.subspan(begin_of(place), place.end - place.begin);
  }

  void check_place(const Place& place,
                   const std::map<std::string, std::uint64_t>& checksums) const {
    const bool has_checksum = checksums.contains(place.name);
    if (is_padding(place)) {
      if (place.dtype != "U8" || place.end - place.begin >= kAlignment || has_checksum) {
        damaged("'" + place.name + "' is not padding");
      }
    } else if (!has_checksum) {
      damaged("tensor '" + place.name + "' has no checksum");
    } else if (begin_of(place) % kAlignment != 0) {
      damaged("tensor '" + place.name + "' begins at byte " + std::to_string(begin_of(place)) +
              ", not a multiple of " + std::to_string(kAlignment));
    }
  }

  void check_zeros(const Place& place, Bytes bytes) const {
    if (std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; })) {
      return;
    }
    throw CorruptFileError(place_text(begin_of(place), begin_of(place) + bytes.size()) + " (" +
                           place.name + ") are not zero" + kRemedy);
  }

  void check_bytes(const Place& place, Bytes bytes, std::uint64_t expected) const {
    if (bytes.size() > largest_) return;
    const std::uint64_t begin = begin_of(place);
    base::Checksum sum;
    for (std::size_t first = 0; first < bytes.size(); first += kBlockBytes) {
      const std::size_t count = std::min(kBlockBytes, bytes.size() - first);
      sum.update(bytes.subspan(first, count));
      if (progress_) progress_(begin + first + count);
    }
    if (sum.digest() == expected) return;
    throw CorruptFileError("tensor '" + place.name + "' (" +
                           place_text(begin, begin + bytes.size()) +
                           ") is damaged: its checksum does not fit" + kRemedy);
  }

  Bytes file_;
  std::size_t largest_;
  Progress progress_;
  Bytes head_;
};

}  // namespace

Container read_container(Bytes file) { return FileCheck(file, kCheckedOnOpen, {}).read(); }

void verify_container(Bytes file, const Progress& progress) {
  FileCheck(file, std::numeric_limits<std::size_t>::max(), progress).read();
}

}  // namespace emcomp::file
