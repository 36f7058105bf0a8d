#include "emcomp/vectors/text_vectors.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/vectors/parse_float.hpp"

namespace emcomp::vectors {

namespace {

// Text handed to a thread at a time: many lines, and little enough to stay in its cache.
constexpr std::int64_t kChunkBytes = 256 << 10;

bool is_separator(char c) { return c == ' ' || c == '\t'; }

std::int64_t count_newlines(const char* at, const char* end) {
  constexpr std::int64_t kLanes = 64;
  std::int64_t total = 0;
  while (end - at >= kLanes) {
    std::uint8_t lanes[kLanes] = {};
    const std::int64_t steps = std::min<std::int64_t>((end - at) / kLanes, 255);
    for (std::int64_t step = 0; step < steps; ++step, at += kLanes) {
      for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] += at[i] == '\n';
    }
    total += std::accumulate(std::begin(lanes), std::end(lanes), std::int64_t{0});
  }
  return total + std::count(at, end, '\n');
}

// Lines that begin in [begin, end) of the text.
std::int64_t count_line_starts(std::span<const char> text, std::int64_t begin, std::int64_t end) {
  const std::int64_t last = static_cast<std::int64_t>(text.size()) - 1;
  const std::int64_t from = std::max<std::int64_t>(begin - 1, 0);
  const std::int64_t to = std::max(std::min(end - 1, last), from);
  return count_newlines(text.data() + from, text.data() + to) + (begin == 0 && end > 0 ? 1 : 0);
}

// The beginning of a text for a message, control characters escaped.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 40;
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string shown = "'";
  for (const char c : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 32 && byte != 127) {
      shown.push_back(c);
    } else {
      shown.append({'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]});
    }
  }
  return shown.append(text.size() > kShown ? "...'" : "'");
}

bool is_number(std::string_view field) {
  float ignored;
  const char* end = field.data() + field.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): `end` bounds it
  return parse_float(field.data(), end, ignored) == end;
}

std::string_view without_leading(std::string_view text, const char* characters) {
  const std::size_t first = text.find_first_not_of(characters);
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

std::string_view without_trailing(std::string_view text, const char* characters) {
  const std::size_t last = text.find_last_not_of(characters);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

[[noreturn]] void fail(std::int64_t line_number, std::int64_t column, const std::string& what) {
  throw FormatError("line " + std::to_string(line_number) + ", column " +
                    std::to_string(column + 1) + ": " + what);
}

// The usual line: a word without spaces, single separators. Returns the end of the line, or
// nullptr where the line is any other, also a bad one.
const char* parse_usual_line(const char* at, const char* end, std::int64_t dim, float* out,
                             std::string_view& word) {
  const char* p = at;
  while (p < end && !is_separator(*p) && *p != '\n') ++p;
  if (p == at) return nullptr;
  word = {at, static_cast<std::size_t>(p - at)};
  for (std::int64_t c = 0; c < dim; ++c) {
    if (p == end || !is_separator(*p)) return nullptr;
    p = parse_float(p + 1, end, out[c]);
    if (p == nullptr) return nullptr;
  }
  while (p < end && (is_separator(*p) || *p == '\r')) ++p;
  return p == end || *p == '\n' ? p : nullptr;
}

// Any line, split from the right. Returns its word.
std::string_view parse_any_line(std::string_view line, std::int64_t line_number, std::int64_t dim,
                                float* out) {
  line = without_trailing(line, " \t\r");
  if (line.empty()) fail(line_number, 0, "the line is empty");
  const std::string expected = "a word and " + std::to_string(dim) + " numbers";
  std::string_view rest = line;
  for (std::int64_t c = dim - 1; c >= 0; --c) {
    const std::size_t before = rest.find_last_of(" \t");
    if (before == std::string_view::npos) {
      const std::int64_t fields = count_fields(line).fields;
      fail(line_number, 0,
           "expected " + expected + ", found " + std::to_string(fields) +
               (fields == 1 ? " field" : " fields"));
    }
    const std::string_view field = rest.substr(before + 1);
    if (parse_float(field.data(), field.data() + field.size(), out[c]) !=
        field.data() + field.size()) {
      fail(line_number, static_cast<std::int64_t>(before) + 1,
           quoted(field) + " is not a number (a line holds " + expected + ")");
    }
    rest = without_trailing(rest.substr(0, before), " \t");
  }
  rest = without_leading(rest, " \t");
  if (rest.empty()) fail(line_number, 0, "there is no word before the numbers");
  const std::size_t before = rest.find_last_of(" \t");
  if (before != std::string_view::npos && is_number(rest.substr(before + 1))) {
    fail(line_number, static_cast<std::int64_t>(before) + 1,
         "expected " + expected + ", found more numbers");
  }
  return rest;
}

// The next field of a line of columns, and the rest of the line without the separator.
struct Field {
  std::string_view text;
  std::string_view rest;
  bool last = false;
  bool quoted = false;
};

Field next_field(std::string_view line, char separator) {
  Field field;
  if (separator == ' ') {
    line = without_leading(line, " \t");
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    field.text = line.substr(0, end);
    field.rest = without_leading(line.substr(end), " \t");
    field.last = field.rest.empty();
    return field;
  }
  std::size_t from = 0;
  if (!line.empty() && line.front() == '"') {
    from = 1;
    for (;; from += 2) {
      from = line.find('"', from);
      if (from == std::string_view::npos || from + 1 >= line.size() || line[from + 1] != '"') break;
    }
    field.quoted = from != std::string_view::npos;
    from = field.quoted ? from : 0;
  }
  const std::size_t end = line.find(separator, from);
  field.last = end == std::string_view::npos;
  field.text = line.substr(0, end);
  field.rest = field.last ? std::string_view() : line.substr(end + 1);
  return field;
}

// The word that a field holds, put together in `kept` where it is quoted.
std::string_view unquoted(const Field& field, std::string& kept) {
  if (!field.quoted) return field.text;
  kept.clear();
  const std::string_view inside = without_trailing(field.text, " \t");
  for (std::size_t i = 1; i + 1 < inside.size(); ++i) {
    if (inside[i] == '"') ++i;
    kept.push_back(inside[i]);
  }
  return kept;
}

// A line of a table of columns. Returns its word, perhaps in `kept`.
std::string_view parse_columns(std::string_view line, const Columns& columns,
                               std::int64_t line_number, std::int64_t dim, float* out,
                               std::string& kept) {
  line = without_trailing(line, columns.separator == '\t' ? "\r" : " \t\r");
  const char* const begin = line.data();
  std::string_view word;
  std::int64_t i = 0;
  for (bool last = false; !last; ++i) {
    const Field field = next_field(line, columns.separator);
    if (i == columns.word) {
      word = unquoted(field, kept);
      if (word.empty()) fail(line_number, field.text.data() - begin, "the word is empty");
    } else if (i >= columns.first && i < columns.first + dim) {
      const std::string_view text = without_leading(without_trailing(field.text, " \t"), " \t");
      if (parse_float(text.data(), text.data() + text.size(), out[i - columns.first]) !=
          text.data() + text.size()) {
        fail(line_number, field.text.data() - begin, quoted(field.text) + " is not a number");
      }
    }
    last = field.last;
    line = field.rest;
  }
  if (i != columns.count) {
    fail(line_number, 0,
         "expected " + std::to_string(columns.count) + " fields, found " + std::to_string(i));
  }
  return word;
}

// Parses up to `rows` lines that begin in [begin, end) of the text: a word and numbers, or columns.
words::WordBuffer parse_chunk(std::span<const char> text, std::int64_t begin, std::int64_t end,
                              std::int64_t line_number, RowBlock out, const Columns* columns) {
  const char* const text_end = text.data() + text.size();
  const char* at = text.data() + begin;
  if (begin > 0) {
    at = static_cast<const char*>(
        std::memchr(at - 1, '\n', static_cast<std::size_t>(text_end - at + 1)));
    if (at == nullptr) return {};
    ++at;
  }
  words::WordBuffer words;
  std::string kept;
  for (std::int64_t row = 0; row < out.rows && at < text.data() + end; ++row) {
    float* values = out.values + row * out.dim;
    std::string_view word;
    if (columns != nullptr) {
      const char* const line_end = std::find(at, text_end, '\n');
      word = parse_columns({at, line_end}, *columns, line_number + row, out.dim, values, kept);
      if (columns->word >= 0) words.add(word);
      at = line_end + 1;
      continue;
    }
    const char* line_end = parse_usual_line(at, text_end, out.dim, values, word);
    if (line_end == nullptr) {
      line_end = std::find(at, text_end, '\n');
      word = parse_any_line({at, line_end}, line_number + row, out.dim, values);
    }
    words.add(word);
    at = line_end + 1;
  }
  return words;
}

words::WordBuffer joined(const std::vector<words::WordBuffer>& parts) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (const words::WordBuffer& part : parts) {
    bytes += part.bytes.size();
    count += part.offsets.size() - 1;
  }
  words::WordBuffer all;
  all.bytes.reserve(bytes);
  all.offsets.reserve(count + 1);
  for (const words::WordBuffer& part : parts) {
    const std::uint64_t shift = all.bytes.size();
    all.bytes.insert(all.bytes.end(), part.bytes.begin(), part.bytes.end());
    for (std::size_t i = 1; i < part.offsets.size(); ++i) {
      all.offsets.push_back(shift + part.offsets[i]);
    }
  }
  return all;
}

}  // namespace

std::int64_t count_lines(std::span<const char> text, int threads) {
  const auto size = static_cast<std::int64_t>(text.size());
  std::vector<std::int64_t> starts(static_cast<std::size_t>(size / kChunkBytes + 1));
  base::parallel_blocks(size, kChunkBytes, threads, [&](std::int64_t begin, std::int64_t end) {
    starts[static_cast<std::size_t>(begin / kChunkBytes)] = count_line_starts(text, begin, end);
  });
  return std::accumulate(starts.begin(), starts.end(), std::int64_t{0});
}

FieldCount count_fields(std::string_view line) {
  FieldCount found;
  bool is_numeric = true;
  std::string_view rest = without_trailing(line, " \t\r");
  while (!rest.empty()) {
    const std::size_t before = rest.find_last_of(" \t");
    const std::string_view field =
        before == std::string_view::npos ? rest : rest.substr(before + 1);
    is_numeric = is_numeric && is_number(field);
    found.numbers += static_cast<std::int64_t>(is_numeric);
    ++found.fields;
    rest = before == std::string_view::npos ? std::string_view()
                                            : without_trailing(rest.substr(0, before), " \t");
  }
  return found;
}

words::WordBuffer parse_lines(std::span<const char> text, std::int64_t first_line, RowBlock out,
                              int threads, const Columns* columns) {
  const auto size = static_cast<std::int64_t>(text.size());
  const auto chunks = static_cast<std::size_t>((size + kChunkBytes - 1) / kChunkBytes);
  std::vector<std::int64_t> first_rows(chunks + 1);
  base::parallel_blocks(size, kChunkBytes, threads, [&](std::int64_t begin, std::int64_t end) {
    first_rows[static_cast<std::size_t>(begin / kChunkBytes) + 1] =
        count_line_starts(text, begin, end);
  });
  std::partial_sum(first_rows.begin(), first_rows.end(), first_rows.begin());
  if (first_rows.back() < out.rows)
    throw InputError("the text has fewer lines than rows asked for");

  std::vector<words::WordBuffer> words(chunks);
  std::vector<std::optional<FormatError>> errors(chunks);
  base::parallel_blocks(size, kChunkBytes, threads, [&](std::int64_t begin, std::int64_t end) {
    const auto chunk = static_cast<std::size_t>(begin / kChunkBytes);
    const std::int64_t row = std::min(first_rows[chunk], out.rows);
    const std::int64_t next = std::min(first_rows[chunk + 1], out.rows);
    try {
      words[chunk] = parse_chunk(text, begin, end, first_line + row,
                                 {out.values + row * out.dim, next - row, out.dim}, columns);
    } catch (const FormatError& error) {
      errors[chunk] = error;
    }
  });
  for (const auto& error : errors) {
    if (error) throw *error;
  }
  return joined(words);
}

std::string format_lines(const base::MatrixView& matrix, const words::WordList& words,
                         int threads) {
  // The longest float32 is as "-1.1754944e-38".
  constexpr std::int64_t kLongestNumber = 16;
  const std::int64_t block = std::max<std::int64_t>(kChunkBytes / (matrix.dim * 8), 1);
  const auto blocks = static_cast<std::size_t>((matrix.rows + block - 1) / block);
  std::vector<std::string> parts(blocks);
  base::parallel_blocks(matrix.rows, block, threads, [&](std::int64_t begin, std::int64_t end) {
    std::string& text = parts[static_cast<std::size_t>(begin / block)];
    std::vector<float> row(static_cast<std::size_t>(matrix.dim));
    std::vector<char> numbers(static_cast<std::size_t>(matrix.dim * (kLongestNumber + 1)));
    for (std::int64_t i = begin; i < end; ++i) {
      base::load_rows(matrix, i, 1, row.data());
      char* at = numbers.data();
      for (const float value : row) {
        *at++ = ' ';
        at = std::to_chars(at, at + kLongestNumber, value).ptr;
      }
      text.append(words[i]).append(numbers.data(), at).push_back('\n');
    }
  });
  std::size_t size = 0;
  for (const std::string& part : parts) size += part.size();
  std::string all;
  all.reserve(size);
  for (const std::string& part : parts) all += part;
  return all;
}

void check_words(const words::WordList& words, bool spaces_allowed) {
  const auto fail_word = [&](std::int64_t i, const std::string& why) {
    throw InputError("word " + quoted(words[i]) + " (row " + std::to_string(i) + ") " + why);
  };
  for (std::int64_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word.empty()) fail_word(i, "is empty, which this format cannot hold");
    if (word.find('\n') != std::string_view::npos) {
      fail_word(i, "has a newline, which this format cannot hold");
    }
    const std::size_t before = word.find_last_of(" \t");
    if (before == std::string_view::npos) continue;
    if (!spaces_allowed) fail_word(i, "has a space or tab, which this format cannot hold");
    if (without_trailing(word, " \t").size() != word.size()) {
      fail_word(i, "ends with a space, which this format cannot hold");
    }
    if (without_leading(word, " \t").size() != word.size()) {
      fail_word(i, "begins with a space, which this format cannot hold");
    }
    if (is_number(word.substr(before + 1))) {
      fail_word(i, "ends with a number after a space, which would be read as part of the vector");
    }
  }
}

}  // namespace emcomp::vectors
