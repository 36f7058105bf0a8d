#include "emcomp/file/container.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "emcomp/base/checksum.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/file/json.hpp"

namespace emcomp::file {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMaxDimensions = 64;
constexpr std::size_t kCheckedOnOpen = std::size_t{64} << 10;  // larger tensors only by verify
constexpr std::size_t kDigits = 16;                            // of a checksum

constexpr std::string_view kBegin = R"({"__metadata__":{"emcomp":"{\"format\":)";
constexpr std::string_view kBeforeChecksum = R"(,\"header_checksum\":\")";
constexpr std::string_view kPadding = "padding.";

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<std::uint64_t> parse_digits(std::string_view digits) {
  std::uint64_t value = 0;
  const bool known = digits.size() == kDigits &&
                     digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!known) return std::nullopt;
  const char* begin = digits.data();
  std::from_chars(begin, begin + kDigits, value, 16);
  return value;
}

std::int64_t item_bytes(std::string_view dtype) {
  if (dtype == "U8") return 1;
  if (dtype == "U16" || dtype == "F16" || dtype == "BF16") return 2;
  if (dtype == "U32" || dtype == "F32") return 4;
  if (dtype == "U64" || dtype == "I64" || dtype == "F64") return 8;
  throw FormatError("the unknown type '" + std::string(dtype) + "'");
}

// The length word and the header that follows it.
Bytes whole_header(Bytes file) {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | file[i];
  if (length > file.size() - kLengthBytes) {
    throw FormatError("the header is said to have " + std::to_string(length) +
                      " bytes, the file has " + std::to_string(file.size()) + " in all");
  }
  if (length > kMaxHeaderBytes) {
    throw FormatError("a header of " + std::to_string(length) + " bytes: at most " +
                      std::to_string(kMaxHeaderBytes) + " are allowed");
  }
  return file.first(kLengthBytes + static_cast<std::size_t>(length));
}

// The format version, after checking the header's own checksum.
std::int64_t sealed_format(Bytes header) {
  std::string_view rest = text_of(header).substr(kLengthBytes + kBegin.size());
  std::int64_t format = 0;
  const std::size_t number = std::min(rest.find_first_not_of("0123456789"), rest.size());
  const char* begin = rest.data();
  const auto parsed = std::from_chars(begin, begin + number, format);
  rest.remove_prefix(number);
  const std::size_t at = header.size() - rest.size() + kBeforeChecksum.size();
  if (number < 1 || number > 9 || parsed.ec != std::errc{} || !rest.starts_with(kBeforeChecksum) ||
      header.size() < at + kDigits) {
    throw FormatError("its checksum is missing");
  }
  constexpr std::string_view kBlank = "0000000000000000";
  base::Checksum sum;
  sum.update(header.first(at));
  sum.update({reinterpret_cast<const std::uint8_t*>(kBlank.data()), kBlank.size()});
  sum.update(header.subspan(at + kDigits));
  if (parse_digits(text_of(header.subspan(at, kDigits))) != sum.digest()) {
    throw FormatError("its checksum does not fit its bytes");
  }
  return format;
}

struct Place {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // from the end of the header
  std::uint64_t end = 0;
};

std::vector<std::int64_t> read_sizes(JsonReader& json, std::size_t most) {
  std::vector<std::int64_t> sizes;
  json.array([&] {
    if (sizes.size() == most) throw FormatError("more than " + std::to_string(most) + " sizes");
    sizes.push_back(json.size());
  });
  return sizes;
}

Place read_place(JsonReader& json, const std::string& name) {
  Place place{.name = name, .dtype = {}, .shape = {}};
  std::vector<std::int64_t> offsets;
  std::size_t members = 0;
  json.object([&](const std::string& key) {
    ++members;
    if (key == "dtype") {
      place.dtype = json.string();
    } else if (key == "shape") {
      place.shape = read_sizes(json, kMaxDimensions);
    } else if (key == "data_offsets") {
      offsets = read_sizes(json, 2);
    } else {
      throw FormatError("tensor '" + name + "' has the unknown entry '" + key + "'");
    }
  });
  if (members != 3 || offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw FormatError("tensor '" + name + "' must have a type, a shape and a pair of offsets");
  }
  std::int64_t largest = std::numeric_limits<std::int64_t>::max() / item_bytes(place.dtype);
  std::int64_t needed = item_bytes(place.dtype);
  for (const std::int64_t size : place.shape) {
    if (size > largest) throw FormatError("tensor '" + name + "' has an impossible shape");
    largest /= std::max<std::int64_t>(size, 1);
    needed *= size;
  }
  if (needed != offsets[1] - offsets[0]) {
    throw FormatError("tensor '" + name + "' needs " + std::to_string(needed) + " bytes and has " +
                      std::to_string(offsets[1] - offsets[0]));
  }
  place.begin = static_cast<std::uint64_t>(offsets[0]);
  place.end = static_cast<std::uint64_t>(offsets[1]);
  return place;
}

struct Metadata {
  std::string codec;
  std::vector<std::int64_t> shape;
  std::map<std::string, std::uint64_t> checksums;
};

Metadata read_metadata(const std::string& text) {
  Metadata metadata;
  JsonReader json(text, "the metadata");
  json.object([&](const std::string& key) {
    if (key == "table") {
      json.object([&](const std::string& entry) {
        if (entry == "codec") {
          metadata.codec = json.string();
        } else if (entry == "shape") {
          metadata.shape = read_sizes(json, 2);
        } else {
          json.skip();
        }
      });
    } else if (key == "tensor_checksums") {
      json.object([&](const std::string& name) {
        const std::optional<std::uint64_t> value = parse_digits(json.string());
        if (!value) {
          throw FormatError("the checksum of tensor '" + name + "' is not 16 hexadecimal digits");
        }
        metadata.checksums[name] = *value;
      });
    } else {
      json.skip();
    }
  });
  json.end();
  return metadata;
}

void check_padding(const Place& place, Bytes bytes) {
  if (place.dtype != "U8" || bytes.size() >= kAlignment) {
    throw FormatError("'" + place.name + "' is not padding");
  }
  if (std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; })) {
    throw FormatError("the bytes of '" + place.name + "' are not zero");
  }
}

Container read_checked(Bytes file, Bytes header) {
  std::vector<Place> places;
  std::string about;
  JsonReader json(text_of(header.subspan(kLengthBytes)), "the header");
  json.object([&](const std::string& key) {
    if (key != "__metadata__") {
      places.push_back(read_place(json, key));
      return;
    }
    json.object([&](const std::string& name) {
      std::string value = json.string();
      if (name == "emcomp") about = std::move(value);
    });
  });
  json.end();
  Metadata metadata = read_metadata(about);

  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const Bytes data = file.subspan(header.size());
  std::uint64_t end = 0;
  Container container{.tensors = {}, .codec = std::move(metadata.codec)};
  for (Place& place : places) {
    if (place.begin != end || place.end > data.size()) {
      throw FormatError("tensor '" + place.name + "' is not where the one before it ends");
    }
    end = place.end;
    const Bytes bytes = data.subspan(place.begin, place.end - place.begin);
    if (place.name.starts_with(kPadding)) {
      check_padding(place, bytes);
      continue;
    }
    const auto found = metadata.checksums.find(place.name);
    if (found == metadata.checksums.end() || (header.size() + place.begin) % kAlignment != 0) {
      throw FormatError("tensor '" + place.name + "' has no checksum or is not aligned");
    }
    container.tensors[place.name] = {std::move(place.dtype), std::move(place.shape), bytes,
                                     found->second};
  }
  if (end != data.size()) throw FormatError("the file does not end where its tensors end");
  if (container.tensors.size() != metadata.checksums.size()) {
    throw FormatError("the checksums are not those of the tensors");
  }
  if (metadata.shape.size() == 2) {
    container.rows = metadata.shape[0];
    container.dim = metadata.shape[1];
  }
  return container;
}

void check_tensors(const Container& container, std::size_t largest) {
  for (const auto& [name, tensor] : container.tensors) {
    if (tensor.bytes.size() > largest || base::checksum(tensor.bytes) == tensor.checksum) continue;
    throw CorruptFileError("tensor '" + name +
                           "' is damaged: its checksum does not fit. Copy the file again or "
                           "compress the table again");
  }
}

// Runs a part of reading the header; what is wrong with it means damage.
template <class Read>
auto damaged_if_wrong(Read read) {
  try {
    return read();
  } catch (const FormatError& error) {
    throw CorruptFileError("damaged header: " + std::string(error.what()) +
                           ". Copy the file again or compress the table again");
  }
}

}  // namespace

Container read_container(Bytes file) {
  if (file.size() < kLengthBytes || !text_of(file).substr(kLengthBytes).starts_with(kBegin)) {
    throw FormatError("not an emcomp file; compress a table with 'emcomp compress' to make one");
  }
  const Bytes header = damaged_if_wrong([&] { return whole_header(file); });
  const std::int64_t format = damaged_if_wrong([&] {
    if (header.size() < kLengthBytes + kBegin.size()) throw FormatError("it is cut short");
    return sealed_format(header);
  });
  if (format != kFormat) {
    throw FormatError("format " + std::to_string(format) + " of emcomp files: this emcomp reads " +
                      "format " + std::to_string(kFormat) + "; use a newer one");
  }
  Container container = damaged_if_wrong([&] { return read_checked(file, header); });
  check_tensors(container, kCheckedOnOpen);
  return container;
}

void verify_tensors(const Container& container) {
  check_tensors(container, std::numeric_limits<std::size_t>::max());
}

}  // namespace emcomp::file
