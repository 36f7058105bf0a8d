#include "emcomp/words/word_list.hpp"

#include <algorithm>
#include <string>

#include "emcomp/base/errors.hpp"

namespace emcomp::words {

std::string_view WordList::operator[](std::int64_t index) const {
  if (index < 0 || index >= size()) {
    throw CorruptFileError("the vocabulary's index names row " + std::to_string(index) + " of " +
                           std::to_string(size()));
  }
  const std::uint64_t begin = offsets[static_cast<std::size_t>(index)];
  const std::uint64_t end = offsets[static_cast<std::size_t>(index) + 1];
  if (begin > end || end > bytes.size()) {
    throw CorruptFileError("the vocabulary says that word " + std::to_string(index) +
                           " lies in bytes " + std::to_string(begin) + " to " +
                           std::to_string(end) + " of " + std::to_string(bytes.size()));
  }
  return {reinterpret_cast<const char*>(bytes.data()) + begin, end - begin};
}

bool WordList::is_sound() const {
  return !offsets.empty() && offsets.front() == 0 && offsets.back() == bytes.size() &&
         std::ranges::is_sorted(offsets);
}

}  // namespace emcomp::words
