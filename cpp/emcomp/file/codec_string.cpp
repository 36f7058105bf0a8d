#include "emcomp/file/codec_string.hpp"

#include <algorithm>
#include <charconv>

#include "emcomp/base/errors.hpp"

namespace emcomp::file {

namespace {

constexpr std::size_t kMostStages = 16;
constexpr std::size_t kMostCharacters = 4096;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
constexpr std::string_view kDecimals = "0123456789";

// The parts of a text between marks that are not in brackets.
std::vector<std::string_view> split(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == mark && depth == 0)) {
      parts.push_back(text.substr(first, i - first));
      first = i + 1;
    } else {
      depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    }
  }
  return parts;
}

bool consists_of(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

// Whether it is digits, or digits, a point and digits.
bool is_number(std::string_view text) {
  const std::size_t point = text.find('.');
  return consists_of(text.substr(0, point), kDecimals) &&
         (point == std::string_view::npos || consists_of(text.substr(point + 1), kDecimals));
}

bool is_value(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '(' && c != ')';
  });
}

Stage parse_stage(std::string_view text) {
  const auto check = [&](bool good) {
    if (good) return;
    throw FormatError("'" + std::string(text) + "' is not a codec; one is like 'uniform:4'");
  };
  Stage stage{.text = std::string(text), .name = {}, .sizes = {}, .options = {}};
  const std::string_view head = text.substr(0, text.find('('));
  if (head.size() < text.size()) {
    check(text.back() == ')');
    const std::string_view options = text.substr(head.size() + 1, text.size() - head.size() - 2);
    for (const std::string_view option : split(options, ',')) {
      const std::size_t equals = option.find('=');
      const bool named = equals != std::string_view::npos;
      const std::string_view key = named ? option.substr(0, equals) : std::string_view();
      const std::string_view value = named ? option.substr(equals + 1) : option;
      check(is_value(value) && (named ? consists_of(key, kLetters) : stage.options.empty()));
      check(stage.options.emplace(key, value).second);
    }
  }
  const std::size_t colon = head.find(':');
  stage.name = head.substr(0, colon);
  check(consists_of(stage.name, kLetters));
  if (colon == std::string_view::npos) return stage;
  for (const std::string_view size : split(head.substr(colon + 1), 'x')) {
    check(is_number(size));
    stage.sizes.emplace_back(size);
  }
  return stage;
}

}  // namespace

std::string Stage::option(const std::string& key, const std::string& otherwise) const {
  const auto found = options.find(key);
  return found == options.end() ? otherwise : found->second;
}

std::int64_t whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good =
      error == std::errc{} && stop == text.data() + text.size() && text.size() <= 18 && value >= 0;
  return good ? value : -1;
}

std::vector<Stage> parse_codec_string(std::string_view codec) {
  if (codec.size() > kMostCharacters) {
    throw FormatError("a codec of " + std::to_string(codec.size()) + " characters: at most " +
                      std::to_string(kMostCharacters) + " are allowed");
  }
  const std::vector<std::string_view> texts = split(codec, '+');  // 1e+06 may be in brackets
  if (texts.size() > kMostStages) {
    throw FormatError("a codec of " + std::to_string(texts.size()) + " stages: at most " +
                      std::to_string(kMostStages) + " are allowed");
  }
  std::vector<Stage> stages;
  stages.reserve(texts.size());
  for (const std::string_view text : texts) stages.push_back(parse_stage(text));
  return stages;
}

}  // namespace emcomp::file
