// The strings that name codecs: stages joined by '+', each name:size(option=value,...).
// python/emcomp/codecs/grammar.py writes them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace emcomp::file {

struct Stage {
  std::string text;
  std::string name;
  std::vector<std::string> sizes;  // after the colon, joined by 'x': numbers, some with a point
  std::map<std::string, std::string> options;  // the one without a name has the key ""

  // The value of an option, or `otherwise` where it is left out.
  std::string option(const std::string& key, const std::string& otherwise) const;
};

// Throws FormatError if the string is not made of stages, or of more than 16, or is longer than
// 4096 characters.
std::vector<Stage> parse_codec_string(std::string_view codec);

// A whole number of at most 18 digits and nothing else, or -1.
std::int64_t whole_number(std::string_view text);

}  // namespace emcomp::file
