// The same as describe.c, in C++:  describe_cpp FILE WORD

#include <cstdio>
#include <emcomp.hpp>
#include <vector>

namespace {

void print_floats(const char* name, const std::vector<float>& values) {
  std::printf("%s", name);
  for (const float value : values) std::printf(" %a", static_cast<double>(value));
  std::printf("\n");
}

void describe(const char* path, const char* asked) {
  const emcomp::Table table(path);
  std::printf("shape %lld %lld\n", static_cast<long long>(table.rows()),
              static_cast<long long>(table.dim()));
  std::printf("codec %s\n", std::string(table.codec()).c_str());
  std::printf("isa %s\n", emcomp_isa());
  const std::vector<std::int64_t> ids = {0, -1};
  const std::vector<std::int64_t> offsets = {0};
  print_floats("lookup", table.lookup(ids));
  std::vector<float> mean(static_cast<std::size_t>(table.dim()));
  table.bag(ids, offsets, emcomp::Mode::kMean, mean);
  print_floats("bag", mean);
  const auto row = table.find(asked);
  if (!row) throw emcomp::Error(EMCOMP_UNKNOWN_WORD, asked);
  for (const emcomp::Neighbour& neighbour : table.similar(*row, 3)) {
    std::printf("similar %s %a\n", std::string(table.word(neighbour.row)).c_str(),
                neighbour.cosine);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    describe(argv[1], argv[2]);
  } catch (const emcomp::Error& error) {
    std::fprintf(stderr, "status %d: %s\n", static_cast<int>(error.status()), error.what());
    return 1;
  }
  return 0;
}
