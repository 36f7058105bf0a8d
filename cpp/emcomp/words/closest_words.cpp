#include "emcomp/words/closest_words.hpp"

#include <algorithm>
#include <utility>

namespace emcomp::words {

namespace {

bool same_letter(char a, char b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return lower(a) == lower(b);
}

// Bytes of the longer word between a common beginning and a common end.
std::size_t differing_stretch(std::string_view a, std::string_view b) {
  const auto begin = std::mismatch(a.begin(), a.end(), b.begin(), b.end(), same_letter).first;
  const auto end = std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend(), same_letter).first;
  const auto common = static_cast<std::size_t>((begin - a.begin()) + (end - a.rbegin()));
  return std::max(a.size(), b.size()) - std::min({common, a.size(), b.size()});
}

}  // namespace

std::vector<std::int64_t> closest_words(const WordList& words, std::string_view word, int count) {
  const std::size_t most = (word.size() + 1) / 2;
  std::vector<std::pair<std::size_t, std::int64_t>> found;  // stretches and rows, in order
  for (std::int64_t row = 0; row < words.size() && count > 0; ++row) {
    const std::pair candidate(differing_stretch(word, words[row]), row);
    if (candidate.first > most) continue;
    found.insert(std::ranges::upper_bound(found, candidate), candidate);
    if (std::cmp_greater(found.size(), count)) found.pop_back();
  }
  std::vector<std::int64_t> rows;
  rows.reserve(found.size());
  for (const auto& [stretch, row] : found) rows.push_back(row);
  return rows;
}

}  // namespace emcomp::words
