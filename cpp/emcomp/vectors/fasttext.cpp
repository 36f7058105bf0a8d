#include "emcomp/vectors/fasttext.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/vectors/little_endian.hpp"

namespace emcomp::vectors {

namespace {

constexpr std::string_view kEndOfSentence = "</s>";
constexpr std::int32_t kSupervised = 3;

// Takes one number or word after the other, never past the end.
class Cursor {
 public:
  explicit Cursor(std::span<const char> file) : file_(file) {}

  std::int64_t left() const { return static_cast<std::int64_t>(file_.size()) - position_; }
  const char* at() const { return file_.data() + position_; }

  template <class T>
  T take() {
    need(sizeof(T));
    const T value = load_little_endian<T>(at());
    position_ += static_cast<std::int64_t>(sizeof(T));
    return value;
  }

  std::string_view take_word() {
    const char* const end = file_.data() + file_.size();
    const char* const word_end = std::find(at(), end, '\0');
    if (word_end == end) need(left() + 1);
    const std::string_view word(at(), word_end);
    position_ += word_end - at() + 1;
    return word;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw CorruptFileError("byte " + std::to_string(position_) + ": " + what);
  }

  void need(std::int64_t bytes) const {
    if (bytes > left()) fail("the file ends too early, at byte " + std::to_string(file_.size()));
  }

 private:
  std::span<const char> file_;
  std::int64_t position_ = 0;
};

// FNV-1a over signed bytes, as fastText hashes n-grams.
std::uint32_t hash_ngram(std::string_view ngram) {
  std::uint32_t hash = 2166136261u;
  for (const char c : ngram) {
    hash ^= static_cast<std::uint32_t>(static_cast<std::int8_t>(c));
    hash *= 16777619u;
  }
  return hash;
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Calls use(row) for the matrix row of each character n-gram of "<word>".
template <class Use>
void for_each_ngram(const FastTextModel& model, std::string_view word, const Use& use) {
  if (model.longest_ngram <= 0 || word == kEndOfSentence) return;
  const std::int64_t word_count = model.rows();
  std::string marked = "<";
  marked.append(word).push_back('>');
  for (std::size_t begin = 0; begin < marked.size(); ++begin) {
    if (continues_character(marked[begin])) continue;
    std::size_t end = begin;
    for (std::int32_t n = 1; end < marked.size() && n <= model.longest_ngram; ++n) {
      ++end;
      while (end < marked.size() && continues_character(marked[end])) ++end;
      // The marks alone are no n-grams.
      if (n < model.shortest_ngram || (n == 1 && (begin == 0 || end == marked.size()))) continue;
      const auto bucket = static_cast<std::int64_t>(
          hash_ngram(std::string_view(marked).substr(begin, end - begin)) %
          static_cast<std::uint64_t>(model.buckets));
      if (!model.pruned) {
        use(word_count + bucket);
      } else if (const auto kept = model.kept_buckets.find(static_cast<std::int32_t>(bucket));
                 kept != model.kept_buckets.end()) {
        use(word_count + kept->second);
      }
    }
  }
}

}  // namespace

FastTextModel open_fasttext(std::span<const char> file) {
  Cursor cursor(file);
  // The first models have neither number nor version, and nothing of pruning and quantizing.
  const bool numbered = cursor.take<std::int32_t>() == kFastTextMagic;
  std::int32_t version = 0;
  if (numbered) {
    version = cursor.take<std::int32_t>();
    if (version != 11 && version != 12) {
      throw FormatError("fastText file version " + std::to_string(version) +
                        " is not known; 11 and 12 are");
    }
  } else {
    cursor = Cursor(file);
  }
  // Arguments of the training run; those that word vectors do not depend on are skipped.
  FastTextModel model;
  const auto skip_integers = [&](int count) {
    for (int i = 0; i < count; ++i) cursor.take<std::int32_t>();
  };
  model.dim = cursor.take<std::int32_t>();
  skip_integers(6);  // window, epochs, minimum count, negatives, word n-grams, loss
  const auto kind = cursor.take<std::int32_t>();
  model.buckets = cursor.take<std::int32_t>();
  model.shortest_ngram = cursor.take<std::int32_t>();
  model.longest_ngram = cursor.take<std::int32_t>();
  skip_integers(1);  // learning rate's update rate
  cursor.take<double>();
  if (version <= 11 && kind == kSupervised) model.longest_ngram = 0;

  const auto entries = cursor.take<std::int32_t>();
  const auto word_count = cursor.take<std::int32_t>();
  const auto label_count = cursor.take<std::int32_t>();
  cursor.take<std::int64_t>();  // tokens
  const auto kept = numbered ? cursor.take<std::int64_t>() : std::int64_t{-1};
  constexpr std::int64_t kShortestEntry = 10;  // terminated word, count, kind
  if (word_count < 0 || label_count < 0 ||
      entries != static_cast<std::int64_t>(word_count) + label_count) {
    cursor.fail("the dictionary's counts contradict each other");
  }
  cursor.need(entries * kShortestEntry);
  for (std::int32_t i = 0; i < entries; ++i) {
    const std::string_view word = cursor.take_word();
    cursor.take<std::int64_t>();  // count
    const auto is_label = cursor.take<std::int8_t>();
    if (is_label != (i < word_count ? 0 : 1)) {
      cursor.fail("words and labels are not in fastText's order");
    }
    if (i < word_count) model.words.add(word);
  }

  model.pruned = kept >= 0;
  if (kept > cursor.left() / 8) cursor.fail("the list of kept n-grams is longer than the file");
  for (std::int64_t i = 0; i < kept; ++i) {
    const auto bucket = cursor.take<std::int32_t>();
    const auto row = cursor.take<std::int32_t>();
    if (row < 0 || row >= kept) cursor.fail("an n-gram has a row outside of the matrix");
    model.kept_buckets[bucket] = row;
  }

  if (numbered && cursor.take<std::uint8_t>() != 0) {
    throw FormatError(
        "a quantized fastText model (.ftz) cannot be read; use the model it was made from, or "
        "write its vectors as text, as by 'fasttext print-word-vectors'");
  }
  model.matrix_rows = cursor.take<std::int64_t>();
  const auto columns = cursor.take<std::int64_t>();
  if (columns != model.dim || model.dim <= 0) {
    cursor.fail("the matrix has " + std::to_string(columns) +
                " columns, the model's dimension is " + std::to_string(model.dim));
  }
  const std::int64_t ngram_rows = model.longest_ngram <= 0 ? 0
                                  : model.pruned           ? kept
                                                           : model.buckets;
  if (model.longest_ngram > 0 && model.buckets <= 0) {
    cursor.fail("the model has n-grams but no buckets for them");
  }
  if (model.matrix_rows < word_count + ngram_rows) {
    cursor.fail("the matrix has " + std::to_string(model.matrix_rows) + " rows, too few for " +
                std::to_string(word_count) + " words and " + std::to_string(ngram_rows) +
                " n-gram buckets");
  }
  if (model.matrix_rows > cursor.left() / (model.dim * 4)) {
    cursor.fail("a matrix of " + std::to_string(model.matrix_rows) + " x " +
                std::to_string(model.dim) +
                " does not fit in what is left of the file, which ends "
                "at byte " +
                std::to_string(file.size()));
  }
  model.matrix = cursor.at();
  return model;
}

void fasttext_rows(const FastTextModel& model, std::int64_t first, RowBlock out, int threads) {
  const words::WordList words = model.words.list();
  if (first < 0 || out.rows < 0 || first + out.rows > words.size() || out.dim != model.dim) {
    throw InputError("rows outside of the fastText model");
  }
  const auto matrix_row = [&](std::int64_t row) { return model.matrix + row * model.dim * 4; };
  base::parallel_blocks(out.rows, base::kBlockRows, threads,
                        [&](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t row = begin; row < end; ++row) {
                            float* const sum = out.values + row * out.dim;
                            load_little_endian(matrix_row(first + row), out.dim, sum);
                            std::int64_t count = 1;
                            for_each_ngram(model, words[first + row], [&](std::int64_t ngram_row) {
                              const char* const ngram = matrix_row(ngram_row);
                              for (std::int64_t c = 0; c < out.dim; ++c) {
                                sum[c] += load_little_endian<float>(ngram + c * 4);
                              }
                              ++count;
                            });
                            // float32 sums times the reciprocal: fastText's own arithmetic, to the
                            // bit.
                            const auto share = static_cast<float>(1.0 / static_cast<double>(count));
                            for (std::int64_t c = 0; c < out.dim; ++c) sum[c] *= share;
                          }
                        });
}

}  // namespace emcomp::vectors
