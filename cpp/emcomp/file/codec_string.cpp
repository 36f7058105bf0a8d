#include "emcomp/file/codec_string.hpp"

#include <algorithm>
#include <charconv>

#include "emcomp/base/errors.hpp"

namespace emcomp::file {

namespace {

constexpr std::size_t kMostStages = 16;

// The text before the first `mark`, which is taken off the rest together with it.
std::string_view take_until(std::string_view& rest, char mark) {
  const std::string_view part = rest.substr(0, rest.find(mark));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

// Whether it is digits, or digits, a point and digits.
bool is_number(std::string_view text) {
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const std::size_t point = text.find('.');
  return digits(text.substr(0, point)) &&
         (point == std::string_view::npos || digits(text.substr(point + 1)));
}

Stage parse_stage(std::string_view text) {
  const auto fail = [&] {
    throw FormatError("'" + std::string(text) + "' is not a codec; one is like 'uniform:4'");
  };
  Stage stage{.text = std::string(text), .name = {}, .sizes = {}, .options = {}};
  std::string_view head = text.substr(0, text.find('('));
  if (head.size() < text.size()) {
    if (text.back() != ')') fail();
    std::string_view options = text.substr(head.size() + 1);
    options.remove_suffix(1);
    while (!options.empty()) {
      const std::string_view option = take_until(options, ',');
      const std::size_t equals = option.find('=');
      const bool named = equals != std::string_view::npos;
      const std::string key(named ? option.substr(0, equals) : std::string_view());
      const std::string value(named ? option.substr(equals + 1) : option);
      if (!stage.options.emplace(key, value).second) fail();
    }
  }
  stage.name = take_until(head, ':');
  while (!head.empty()) {
    stage.sizes.emplace_back(take_until(head, 'x'));
    if (!is_number(stage.sizes.back())) fail();
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
  std::vector<Stage> stages;
  int depth = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i <= codec.size(); ++i) {
    if (i == codec.size() || (codec[i] == '+' && depth == 0)) {  // 1e+06 may be in brackets
      if (stages.size() == kMostStages) throw FormatError("a codec of too many stages");
      stages.push_back(parse_stage(codec.substr(first, i - first)));
      first = i + 1;
    } else {
      depth += codec[i] == '(' ? 1 : codec[i] == ')' ? -1 : 0;
    }
  }
  return stages;
}

}  // namespace emcomp::file
