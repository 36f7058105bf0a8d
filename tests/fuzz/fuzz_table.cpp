// Mutated emcomp files into the reader of tables that programs in C and C++ use.
//
//   fuzz_table INPUTS SEED FILE...    files are small tables, as emcomp.compress(...).save writes
//
// Half of the mutated files get right checksums again, so that mutations reach what lies behind
// them. An input may give a table or one of our errors; anything else ends the program.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "emcomp/base/checksum.hpp"
#include "emcomp/base/errors.hpp"
#include "emcomp/file/table_file.hpp"
#include "emcomp/readers/lookup.hpp"
#include "mutate.hpp"

namespace {

using namespace emcomp;

// A copy that ends where its allocation ends, so that the sanitizer sees a byte read too far.
struct Exact {
  explicit Exact(const std::string& text)
      : bytes(new (std::align_val_t{64}) std::uint8_t[text.size()]), size(text.size()) {
    std::copy(text.begin(), text.end(), bytes.get());
  }
  std::span<const std::uint8_t> span() const { return {bytes.get(), size}; }
  struct Free {
    void operator()(std::uint8_t* at) const { operator delete[](at, std::align_val_t{64}); }
  };
  std::unique_ptr<std::uint8_t[], Free> bytes;
  std::size_t size;
};

struct Seed {
  std::string file;
  std::vector<std::string> names;  // of its tensors
  std::vector<std::pair<std::size_t, std::size_t>> places;
};

Seed seed_from(const std::string& file) {
  Seed seed{.file = file, .names = {}, .places = {}};
  const Exact bytes(file);
  const file::Container container = file::read_container(bytes.span());
  for (const auto& [name, tensor] : container.tensors) {
    seed.names.push_back(name);
    seed.places.emplace_back(tensor.bytes.data() - bytes.span().data(), tensor.bytes.size());
  }
  return seed;
}

void put_digits(std::string& file, const std::string& before, std::uint64_t value) {
  const std::size_t found = file.find(before);
  if (found == std::string::npos || found + before.size() + 16 > file.size()) return;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  file.replace(found + before.size(), 16, digits);
}

std::uint64_t sum_of(const std::string& file, std::size_t first, std::size_t size) {
  return base::checksum({reinterpret_cast<const std::uint8_t*>(file.data()) + first, size});
}

// Right checksums for a file whose tensors are where they were.
void repair(std::string& file, const Seed& seed) {
  for (std::size_t i = 0; i < seed.names.size(); ++i) {
    const auto [first, size] = seed.places[i];
    if (first + size > file.size()) continue;
    put_digits(file, "\\\"" + seed.names[i] + "\\\":\\\"", sum_of(file, first, size));
  }
  std::uint64_t length = 0;
  if (file.size() < 8) return;
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - 8) return;
  const std::string before = "\\\"header_checksum\\\":\\\"";
  const std::size_t found = file.find(before);
  if (found == std::string::npos || found + before.size() + 16 > file.size()) return;
  file.replace(found + before.size(), 16, 16, '0');
  put_digits(file, before, sum_of(file, 0, 8 + length));
}

void use(const file::TableFile& table) {
  const readers::RowReader& reader = *table.reader;
  constexpr std::int64_t kMost = 1 << 16;
  const std::int64_t count =
      std::max<std::int64_t>(1, std::min<std::int64_t>(reader.rows(), kMost / reader.dim()));
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < count; ++i) {
    ids.push_back(i);
    ids.push_back(-1 - i);
  }
  const auto dim = static_cast<std::size_t>(reader.dim());
  std::vector<float> out(ids.size() * dim);
  readers::gather_rows(reader, ids, base::DType::kFloat32, reinterpret_cast<std::byte*>(out.data()),
                       1);
  const std::vector<std::int64_t> offsets = {0, static_cast<std::int64_t>(ids.size() / 2)};
  std::vector<float> bags(2 * dim);
  for (const readers::BagMode mode :
       {readers::BagMode::kSum, readers::BagMode::kMean, readers::BagMode::kMax}) {
    readers::reduce_bags(reader, ids, offsets, nullptr, mode, bags.data(), 1);
  }
  if (reader.rows() * reader.dim() > kMost) return;
  std::int64_t row = 0;
  double cosine = 0.0;
  readers::most_similar(reader, out.data(), 1, 1, &row, &cosine, 1);
}

void use_words(const words::Vocabulary& words) {
  words::find(words, "xy");
  for (std::int64_t row = 0; row < words.words.size(); ++row) {
    words::find(words, words.words[row]);
  }
}

template <class Work>
bool attempt(const Work& work) {
  try {
    work();
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t inputs = argc > 1 ? std::atoll(argv[1]) : 10000;
  const std::uint64_t seed_number = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::vector<Seed> seeds;
  for (int i = 3; i < argc; ++i) {
    std::ifstream stream(argv[i], std::ios::binary);
    seeds.push_back(seed_from(std::string(std::istreambuf_iterator<char>(stream), {})));
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "usage: fuzz_table INPUTS SEED FILE...\n");
    return 2;
  }
  emcomp::fuzz::Mutator mutator(seed_number, {"0",
                                              "1",
                                              "7",
                                              "8",
                                              "64",
                                              "4294967296",
                                              "9223372036854775807",
                                              "+rotate",
                                              "rotate+",
                                              "(granularity=row)",
                                              "svd:2+",
                                              "pca:3+",
                                              "\\u0000",
                                              "\\ud800\\udc00",
                                              "{",
                                              "[[[[[[[[",
                                              "}",
                                              "]",
                                              "\"",
                                              "\\\\\\\"",
                                              "-",
                                              "1e5",
                                              "null",
                                              "F16"});
  std::int64_t opened = 0;
  std::int64_t used = 0;
  for (std::int64_t i = 0; i < inputs; ++i) {
    const Seed& seed = seeds[mutator.below(seeds.size())];
    std::string mutated = seed.file;
    const std::size_t header = seed.places.empty() ? 0 : seed.places[0].first;
    if (mutator.below(2) == 0) {
      mutated = mutator.mutated(mutated);
    } else if (mutator.below(2) == 0) {  // the header alone, of the same length
      std::string text = mutator.mutated(mutated.substr(8, header - 8));
      text.resize(header - 8, ' ');
      mutated.replace(8, header - 8, text);
    } else {  // the tensors alone
      std::string tensors = mutator.mutated(mutated.substr(header));
      tensors.resize(mutated.size() - header);
      mutated.replace(header, tensors.size(), tensors);
    }
    if (mutator.below(4) != 0) repair(mutated, seed);
    const Exact file(mutated);
    attempt([&] {
      const file::TableFile table = file::read_table(file::read_container(file.span()));
      ++opened;
      use(table);
      attempt([&] { file::verify_container(file.span()); });
      if (table.words) use_words(*table.words);
      ++used;
    });
  }
  std::printf("%lld inputs; %lld gave tables, %lld of them with words in order\n",
              static_cast<long long>(inputs), static_cast<long long>(opened),
              static_cast<long long>(used));
  return 0;
}
