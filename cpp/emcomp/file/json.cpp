#include "emcomp/file/json.hpp"

#include <charconv>
#include <unordered_set>

#include "emcomp/base/errors.hpp"

namespace emcomp::file {

namespace {

constexpr int kDeepest = 32;
constexpr std::size_t kMostMembers = 10'000;
constexpr std::size_t kLongestNumber = 100;

void append_utf8(std::uint32_t code_point, std::string& out) {
  const auto last = [&](int shift) {
    out += static_cast<char>(0x80u | ((code_point >> shift) & 0x3fu));
  };
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += static_cast<char>(0xc0u | (code_point >> 6));
    last(0);
  } else if (code_point < 0x10000) {
    out += static_cast<char>(0xe0u | (code_point >> 12));
    last(6);
    last(0);
  } else {
    out += static_cast<char>(0xf0u | (code_point >> 18));
    last(12);
    last(6);
    last(0);
  }
}

}  // namespace

void JsonReader::fail(const std::string& problem) const {
  throw FormatError(what_ + ": " + problem + " at byte " + std::to_string(at_));
}

// The next character that is not white space; 0 at the end.
char JsonReader::peek() {
  while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonReader::take(char wanted) {
  if (peek() != wanted || at_ == text_.size()) return false;
  ++at_;
  return true;
}

void JsonReader::expect(char wanted) {
  if (!take(wanted)) fail(std::string("expected '") + wanted + "'");
}

void JsonReader::nest(const std::function<void()>& read) {
  if (++depth_ > kDeepest) fail("too many values inside each other");
  read();
  --depth_;
}

void JsonReader::object(const std::function<void(const std::string&)>& member) {
  expect('{');
  nest([&] {
    if (take('}')) return;
    std::unordered_set<std::string> keys;
    do {
      const auto [key, is_new] = keys.insert(string());
      if (!is_new) fail("the key '" + *key + "' is there twice");
      if (keys.size() > kMostMembers) fail("an object of too many members");
      expect(':');
      member(*key);
    } while (take(','));
    expect('}');
  });
}

void JsonReader::array(const std::function<void()>& element) {
  expect('[');
  nest([&] {
    if (take(']')) return;
    do {
      element();
    } while (take(','));
    expect(']');
  });
}

std::string JsonReader::string() {
  expect('"');
  std::string value;
  for (;;) {
    if (at_ == text_.size()) fail("a string without end");
    const char next = text_[at_++];
    if (next == '"') return value;
    if (const auto byte = static_cast<unsigned char>(next); byte < 0x20 || byte > 0x7f) {
      --at_;
      fail("a control character or one that is not ASCII");
    }
    if (next != '\\') {
      value += next;
      continue;
    }
    if (at_ == text_.size()) fail("a string without end");
    const char escape = text_[at_++];
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t which = kEscapes.find(escape);
    if (escape == 'u') {
      append_utf8(escaped_code_point(), value);
    } else if (which != kEscapes.npos) {
      value += kMeanings[which];
    } else {
      fail("an unknown escape");
    }
  }
}

std::uint32_t JsonReader::hexadecimal() {
  std::uint32_t value = 0;
  const char* begin = text_.data() + at_;
  const char* end = begin + std::min<std::size_t>(4, text_.size() - at_);
  const auto [stop, error] = std::from_chars(begin, end, value, 16);
  if (error != std::errc{} || stop != begin + 4) fail("expected four hexadecimal digits");
  at_ += 4;
  return value;
}

std::uint32_t JsonReader::escaped_code_point() {
  const std::uint32_t high = hexadecimal();
  if (high < 0xd800 || high > 0xdbff || text_.substr(at_, 2) != "\\u") return high;
  const std::size_t before = at_;
  at_ += 2;
  const std::uint32_t low = hexadecimal();
  if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  at_ = before;  // two escapes that are no pair
  return high;
}

void JsonReader::digits() {
  const std::size_t first = at_;
  while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
  if (at_ == first) fail("expected a digit");
}

std::string_view JsonReader::number() {
  const std::size_t first = at_;
  const auto skip_if = [&](char wanted) {
    const bool found = at_ < text_.size() && text_[at_] == wanted;
    if (found) ++at_;
    return found;
  };
  skip_if('-');
  if (!skip_if('0')) digits();
  if (skip_if('.')) digits();
  if (skip_if('e') || skip_if('E')) {
    if (!skip_if('+')) skip_if('-');
    digits();
  }
  const std::string_view text = text_.substr(first, at_ - first);
  if (text.size() > kLongestNumber) fail("a number of too many digits");
  double value = 0.0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  // So few digits are out of range with a negative exponent only because they are next to zero.
  const bool tiny = text.find("e-") != text.npos || text.find("E-") != text.npos;
  if (parsed.ec != std::errc{} && !tiny) fail("a number beyond float64");
  return text;
}

std::int64_t JsonReader::size() {
  const bool has_sign_or_no_digit = peek() < '0' || peek() > '9';
  const std::string_view text = has_sign_or_no_digit ? "" : number();
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) {
    fail("expected a whole number from 0 to 2^63 - 1");
  }
  return value;
}

std::string_view JsonReader::object_text() {
  if (peek() != '{') fail("expected an object");
  const std::size_t first = at_;
  skip();
  return text_.substr(first, at_ - first);
}

void JsonReader::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) fail("expected a value");
  at_ += word.size();
}

void JsonReader::skip() {
  switch (peek()) {
    case '{':
      return object([this](const std::string&) { skip(); });
    case '[':
      return array([this] { skip(); });
    case '"':
      string();
      return;
    case 't':
      return literal("true");
    case 'f':
      return literal("false");
    case 'n':
      return literal("null");
    default:
      number();
  }
}

void JsonReader::end() {
  if (peek() != '\0' || at_ != text_.size()) fail("more than one value");
}

}  // namespace emcomp::file
