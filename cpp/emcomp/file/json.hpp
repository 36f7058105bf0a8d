// Reading JSON (RFC 8259) strictly, a value at a time: nothing is kept that is not asked for, so a
// hostile text costs no more memory than its longest string and the keys of open objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace emcomp::file {

// Every call reads the value that comes next. Throws FormatError with the position if it is of
// another kind or not JSON. Refused too: a key that is there twice, text that is not ASCII, numbers
// beyond float64 or of more than 100 characters, objects of more than 10,000 members, and more than
// 32 objects and arrays inside each other.
class JsonReader {
 public:
  // `what` names the text in messages. The text must outlive the reader.
  JsonReader(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

  // Calls member(key) for each member of an object; it has to read or skip the value.
  void object(const std::function<void(const std::string&)>& member);

  // Calls element() for each element of an array; it has to read or skip it.
  void array(const std::function<void()>& element);

  std::string string();

  // The text of an object.
  std::string_view object_text();

  // A whole number from 0 to 2^63 - 1.
  std::int64_t size();

  void skip();

  // Nothing but white space may follow.
  void end();

 private:
  [[noreturn]] void fail(const std::string& problem) const;
  char peek();
  bool take(char wanted);
  void expect(char wanted);
  void literal(std::string_view word);
  std::string_view number();
  void digits();
  std::uint32_t hexadecimal();
  std::uint32_t escaped_code_point();
  void nest(const std::function<void()>& read);

  std::string_view text_;
  std::string what_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace emcomp::file
