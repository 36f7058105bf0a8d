// Mutated vector files into the readers of text, columns, word2vec binary and fastText.
//
//   fuzz_vectors INPUTS SEED [FILE...]    files are starting points beside the built-in ones
//
// An input may give vectors or one of our errors; anything else ends the program.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/vectors/binary_vectors.hpp"
#include "emcomp/vectors/fasttext.hpp"
#include "emcomp/vectors/text_vectors.hpp"
#include "emcomp/words/duplicates.hpp"
#include "mutate.hpp"

namespace {

using namespace emcomp;

// A copy that ends where its allocation ends, so that the sanitizer sees a byte read too far.
struct Exact {
  explicit Exact(const std::string& text) : bytes(new char[text.size()]), size(text.size()) {
    std::copy(text.begin(), text.end(), bytes.get());
  }
  std::span<const char> span() const { return {bytes.get(), size}; }
  std::unique_ptr<char[]> bytes;
  std::size_t size;
};

struct Seed {
  std::string file;
  std::int64_t dim;
  std::int64_t rows = 3;  // of word2vec binary
};

template <class T>
void append(std::string& file, T value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Rows of word2vec binary, some of them with names of several words.
Seed binary_file(bool newlines) {
  constexpr std::int64_t kDim = 6;
  Seed seed{"", kDim, 5};
  float value = 0.25f;
  for (const std::string word : {"the", "New York", "San Francisco Bay", "a", "Windows 2000"}) {
    seed.file.append(word).push_back(' ');
    for (std::int64_t i = 0; i < kDim; ++i) append(seed.file, value = -value * 1.1f);
    if (newlines) seed.file.push_back('\n');
  }
  return seed;
}

std::string fasttext_file(bool pruned) {
  constexpr std::int32_t kDim = 3;
  constexpr std::int32_t kBuckets = 5;
  const std::vector<std::string> words = {"</s>", "the", "gr\xc3\xb6\xc3\x9f", "b"};
  std::string file;
  for (const std::int32_t value :
       {vectors::kFastTextMagic, 12, kDim, 5, 5, 1, 5, 1, 2, 2, kBuckets, 2, 4, 100}) {
    append(file, value);
  }
  append(file, 1e-4);
  for (const std::int32_t value : {4, 4, 0}) append(file, value);
  append<std::int64_t>(file, 100);
  append<std::int64_t>(file, pruned ? 2 : -1);
  for (const std::string& word : words) {
    file.append(word).push_back('\0');
    append<std::int64_t>(file, 7);
    append<std::int8_t>(file, 0);
  }
  if (pruned) {
    for (const std::int32_t value : {1, 0, 3, 1}) append(file, value);
  }
  append<std::int8_t>(file, 0);
  append<std::int64_t>(file, 4 + kBuckets);
  append<std::int64_t>(file, kDim);
  for (int i = 0; i < (4 + kBuckets) * kDim; ++i) append(file, static_cast<float>(i));
  return file;
}

std::int64_t accepted = 0;

base::MatrixView view_of(const std::vector<float>& values, std::int64_t rows, std::int64_t dim) {
  const auto* first = reinterpret_cast<const std::byte*>(values.data());
  return {first, rows, dim, dim * 4, 4, base::DType::kFloat32, false};
}

void read_as_text(std::span<const char> file, std::int64_t dim) {
  const std::int64_t rows = vectors::count_lines(file, 1);
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  const vectors::RowBlock out{values.data(), rows, dim};
  const words::WordBuffer words = vectors::parse_lines(file, 1, out, 1);
  words::first_occurrences(words.list());
  // What was read can be written and reads the same.
  vectors::check_words(words.list(), true);
  const std::string text = vectors::format_lines(view_of(values, rows, dim), words.list(), 1);
  std::vector<float> again(values.size());
  const words::WordBuffer words_again = vectors::parse_lines(text, 1, {again.data(), rows, dim}, 1);
  if (words_again.bytes != words.bytes || words_again.offsets != words.offsets) std::abort();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool both_nan = values[i] != values[i] && again[i] != again[i];
    if (values[i] != again[i] && !both_nan) std::abort();
  }
}

void read_as_columns(std::span<const char> file, std::int64_t dim, char separator, bool words) {
  const std::int64_t rows = vectors::count_lines(file, 1);
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  const std::int64_t first = words ? 1 : 0;
  const vectors::Columns columns{separator, words ? 0 : -1, first, dim + first};
  vectors::parse_lines(file, 1, {values.data(), rows, dim}, 1, &columns);
}

// Rows that are found one after another in parts of the file are those that are found at once.
void read_as_binary(std::span<const char> file, std::int64_t dim, std::int64_t rows) {
  const vectors::BinaryPart whole{file, 0, 0, true};
  const vectors::BinaryLayout layout{dim, vectors::has_newlines(whole, dim, rows)};
  const vectors::BinaryRows found = vectors::find_binary_rows(whole, layout, rows);
  if (static_cast<std::int64_t>(found.rows.size()) != rows) std::abort();
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  const words::WordBuffer words =
      vectors::read_binary_rows(whole, found, {values.data(), rows, dim}, 1);
  if (words.list().size() != rows) std::abort();
  const vectors::BinaryPart part{file, 0, 0, false};
  const vectors::BinaryRows some = vectors::find_binary_rows(part, layout, rows);
  for (std::size_t i = 0; i < some.rows.size(); ++i) {
    if (some.rows[i].word_end != found.rows[i].word_end) std::abort();
  }
  // Written with newlines, what was read is read again, unless a word cannot be written.
  vectors::check_words(words.list(), false);
  const std::string text = vectors::format_binary(view_of(values, rows, dim), words.list(), 1);
  const vectors::BinaryPart again{text, 0, 0, true};
  if (!vectors::has_newlines(again, dim, rows)) std::abort();
  const vectors::BinaryRows same = vectors::find_binary_rows(again, {dim, true}, rows);
  std::vector<float> values_again(values.size());
  const words::WordBuffer words_again =
      vectors::read_binary_rows(again, same, {values_again.data(), rows, dim}, 1);
  if (words_again.bytes != words.bytes) std::abort();
  if (std::memcmp(values.data(), values_again.data(), values.size() * sizeof(float)) != 0) {
    std::abort();
  }
}

void read_as_fasttext(std::span<const char> file) {
  const vectors::FastTextModel model = vectors::open_fasttext(file);
  std::vector<float> values(static_cast<std::size_t>(model.rows() * model.dim));
  vectors::fasttext_rows(model, 0, {values.data(), model.rows(), model.dim}, 1);
}

template <class Read>
void attempt(const Read& read) {
  try {
    read();
    ++accepted;
  } catch (const FormatError&) {
  } catch (const InputError&) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t inputs = argc > 1 ? std::atoll(argv[1]) : 10000;
  const std::uint64_t seed_number = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::vector<Seed> seeds = {
      {"the 0.418 0.24968 -0.41242\nof 1e-05 .5 5.\n. . . 1 2 3\r\nx\t7 8  9 \n", 3},
      {"a nan inf -infinity\nb 3.4028236e38 1.17549435e-38 0.30000001192092896\n", 3},
      {"a 123456789012345678901234567890 0.00000000000000000000000000000000000000000000001 1\n", 3},
      {"one 1\ntwo 2\n", 1},
      {std::string("the \0\0\x80?\0\0\0@\0\0@@\nof 123412341234b 123412341234", 46), 3},
      {fasttext_file(false), 3},
      {fasttext_file(true), 3},
      binary_file(false),
      binary_file(true),
      {"\"a, \"\"b\"\"\",0.5,1e-3, 7\nc,1,2,3\n\"d\",4,5,6\r\n", 3},
  };
  for (int i = 3; i < argc; ++i) {
    std::ifstream stream(argv[i], std::ios::binary);
    std::string file{std::istreambuf_iterator<char>(stream), {}};
    const std::size_t header = file.find('\n');  // word2vec's is no line of the text
    const bool has_header = file.find_first_not_of("0123456789 ") == header;
    if (has_header) file.erase(0, header + 1);
    file.resize(std::min<std::size_t>(file.size(), 3000));
    seeds.push_back({file, std::string(argv[i]).find("300d") != std::string::npos ? 300 : 100});
  }
  emcomp::fuzz::Mutator mutator(seed_number, {" ",
                                              "\n",
                                              "\t",
                                              "\r\n",
                                              "e",
                                              "e-",
                                              "-",
                                              "+",
                                              ".",
                                              "0",
                                              "99999999999999999999",
                                              "1e400",
                                              "1e-400",
                                              "nan",
                                              "inf",
                                              "nan(",
                                              "0x1p3",
                                              "\xff",
                                              ",",
                                              "\"",
                                              "\"\"",
                                              " York ",
                                              std::string(1, '\0'),
                                              "1.000000059604644775390625",
                                              "7.006492321624085354618e-46",
                                              "3.4028235677973366e38"});
  for (std::int64_t i = 0; i < inputs; ++i) {
    const Seed& seed = seeds[mutator.below(seeds.size())];
    const Exact file(mutator.mutated(seed.file));
    const auto dim =
        mutator.below(8) == 0 ? static_cast<std::int64_t>(1 + mutator.below(5)) : seed.dim;
    attempt([&] { read_as_text(file.span(), dim); });
    for (const char separator : {' ', ',', '\t'}) {
      attempt([&] { read_as_columns(file.span(), dim, separator, true); });
    }
    attempt([&] { read_as_columns(file.span(), dim, ' ', false); });
    attempt([&] { read_as_binary(file.span(), dim, seed.rows); });
    attempt([&] { read_as_fasttext(file.span()); });
  }
  std::printf("%lld inputs, each read as 7 formats; %lld readings gave vectors\n",
              static_cast<long long>(inputs), static_cast<long long>(accepted));
  return 0;
}
