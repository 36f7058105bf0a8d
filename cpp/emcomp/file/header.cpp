#include "emcomp/file/header.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "emcomp/base/checksum.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/file/json.hpp"

namespace emcomp::file {

namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMostHeaderBytes = std::size_t{16} << 20;
constexpr std::size_t kMostDescriptionBytes = std::size_t{1} << 20;
constexpr std::size_t kMostDimensions = 64;
constexpr std::size_t kDigits = 16;  // of a checksum

constexpr std::string_view kBegin = R"({"__metadata__":{"emcomp":"{\"format\":)";
constexpr std::string_view kBeforeChecksum = R"(,\"header_checksum\":\")";

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string counted(std::uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

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

std::uint64_t length_word(Bytes file) {
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | file[i];
  return length;
}

// Whether a file that is not ours is in the format that ours is a kind of.
bool is_safetensors(Bytes file) {
  if (file.size() < kLengthBytes || length_word(file) > file.size() - kLengthBytes) return false;
  const auto length = static_cast<std::size_t>(length_word(file));
  if (length > kMostHeaderBytes) return false;
  try {
    JsonReader json(text_of(file.subspan(kLengthBytes, length)), "");
    json.object_text();
    json.end();
    return true;
  } catch (const FormatError&) {
    return false;
  }
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

void check_name(const std::string& name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_.";
  if (name.empty() || kLetters.find(name.front()) == kLetters.npos ||
      name.find_first_not_of(kAllowed) != name.npos) {
    throw FormatError("'" + name + "' cannot be a tensor's name");
  }
}

std::vector<std::int64_t> read_sizes(JsonReader& json, std::size_t most) {
  std::vector<std::int64_t> sizes;
  json.array([&] {
    if (sizes.size() == most) throw FormatError("more than " + std::to_string(most) + " sizes");
    sizes.push_back(json.size());
  });
  return sizes;
}

Place read_place(JsonReader& json, const std::string& name) {
  check_name(name);
  Place place{.name = name, .dtype = {}, .shape = {}};
  std::vector<std::int64_t> offsets;
  std::size_t members = 0;
  json.object([&](const std::string& key) {
    ++members;
    if (key == "dtype") {
      place.dtype = json.string();
    } else if (key == "shape") {
      place.shape = read_sizes(json, kMostDimensions);
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
  place.begin = static_cast<std::uint64_t>(offsets[0]);
  place.end = static_cast<std::uint64_t>(offsets[1]);
  if (std::cmp_not_equal(needed, place.end - place.begin)) {
    throw FormatError("tensor '" + name + "' needs " + counted(static_cast<std::uint64_t>(needed)) +
                      " and has " + std::to_string(place.end - place.begin));
  }
  return place;
}

void check_length(std::string_view description) {
  if (description.size() <= kMostDescriptionBytes) return;
  throw FormatError("the table's description has " + counted(description.size()) + ": at most " +
                    std::to_string(kMostDescriptionBytes) + " are allowed");
}

// What the value of "emcomp" in the metadata says.
void read_metadata(const std::string& text, Header& header) {
  JsonReader json(text, "the metadata");
  bool has_checksums = false;
  json.object([&](const std::string& key) {
    if (key == "table") {
      header.description = json.object_text();
    } else if (key == "tensor_checksums") {
      has_checksums = true;
      json.object([&](const std::string& name) {
        const std::optional<std::uint64_t> value = parse_digits(json.string());
        if (!value) {
          throw FormatError("the checksum of tensor '" + name + "' is not 16 hexadecimal digits");
        }
        header.checksums[name] = *value;
      });
    } else {
      json.skip();
    }
  });
  json.end();
  if (header.description.empty() || !has_checksums) {
    throw FormatError("the metadata lacks the table or the checksums");
  }
  check_length(header.description);
}

Header read_sealed(Bytes bytes) {
  Header header;
  std::string metadata;
  JsonReader json(text_of(bytes.subspan(kLengthBytes)), "its JSON");
  json.object([&](const std::string& key) {
    if (key != "__metadata__") {
      header.places.push_back(read_place(json, key));
      return;
    }
    json.object([&](const std::string& name) {
      std::string value = json.string();
      if (name == "emcomp") metadata = std::move(value);
    });
  });
  json.end();
  read_metadata(metadata, header);
  std::stable_sort(header.places.begin(), header.places.end(), [](const Place& a, const Place& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  for (const Place& place : header.places) {
    if (place.begin != header.end) {
      throw FormatError("tensor '" + place.name + "' begins at byte " +
                        std::to_string(bytes.size() + place.begin) + ", expected " +
                        std::to_string(bytes.size() + header.end));
    }
    header.end = place.end;
  }
  return header;
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

Bytes header_bytes(Bytes file) {
  if (file.size() < kLengthBytes || !text_of(file).substr(kLengthBytes).starts_with(kBegin)) {
    throw FormatError(
        is_safetensors(file)
            ? "a plain safetensors file, not an emcomp file: compress it with 'emcomp compress' "
              "first"
            : "not an emcomp file; compress a table with 'emcomp compress' to make one");
  }
  return damaged_if_wrong([&] {
    const std::uint64_t length = length_word(file);
    if (length > file.size() - kLengthBytes) {
      throw FormatError("it is said to have " + counted(length) + ", the file has " +
                        std::to_string(file.size()) + " in total");
    }
    if (length > kMostHeaderBytes) {
      throw FormatError("it has " + counted(length) + ": at most " +
                        std::to_string(kMostHeaderBytes) + " are allowed");
    }
    if (length < kBegin.size()) throw FormatError("it is cut short");
    return file.first(kLengthBytes + static_cast<std::size_t>(length));
  });
}

void check_description(std::string_view text) {
  check_length(text);
  JsonReader json(text, "the description");
  json.object_text();
  json.end();
}

Header read_header(Bytes header) {
  const std::int64_t format = damaged_if_wrong([&] { return sealed_format(header); });
  if (format != kFormat) {
    throw FormatError("format " + std::to_string(format) + " of emcomp files: this emcomp reads " +
                      "format " + std::to_string(kFormat) +
                      ". Upgrade with 'pip install --upgrade emcomp', or compress the table again "
                      "with this version");
  }
  return damaged_if_wrong([&] { return read_sealed(header); });
}

}  // namespace emcomp::file
