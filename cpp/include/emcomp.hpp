// emcomp for C++20: rows, bags and nearest rows straight from compressed embedding tables.
//
// A thin layer over emcomp.h, all of it in this header: what the library exports is C.
#pragma once

#include <emcomp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace emcomp {

// What every function throws; the message says what was wrong and where.
class Error : public std::runtime_error {
 public:
  Error(emcomp_status status, const char* message) : std::runtime_error(message), status_(status) {}
  emcomp_status status() const { return status_; }

 private:
  emcomp_status status_;
};

inline void check(emcomp_status status) {
  if (status != EMCOMP_OK) throw Error(status, emcomp_last_error());
}

enum class Mode { kSum = EMCOMP_SUM, kMean = EMCOMP_MEAN, kMax = EMCOMP_MAX };

struct Neighbour {
  std::int64_t row;
  double cosine;
};

// A compressed table in a file that is mapped. Immutable: any number of threads may use it at once.
// In all calls `threads` is the most to use; 0 takes EMCOMP_NUM_THREADS, else OpenMP's default.
class Table {
 public:
  // Checks the file's header and small tensors: milliseconds for any size.
  explicit Table(const std::string& path) {
    check(emcomp_check_abi(EMCOMP_ABI_MAJOR, EMCOMP_ABI_MINOR));
    emcomp_table* opened = nullptr;
    check(emcomp_open(path.c_str(), &opened));
    table_.reset(opened);
  }

  std::int64_t rows() const { return emcomp_rows(handle()); }
  std::int64_t dim() const { return emcomp_dim(handle()); }
  std::string_view codec() const { return emcomp_codec(handle()); }
  bool has_words() const { return emcomp_has_words(handle()) != 0; }

  // The table for functions of emcomp.h.
  const emcomp_table* handle() const { return table_.get(); }

  // Reads the whole file and checks every byte against its checksums.
  void verify() const { check(emcomp_verify(handle())); }

  // Rows of ids to out [ids.size(), dim]. Negative ids count from the end.
  void lookup(std::span<const std::int64_t> ids, std::span<float> out, int threads = 0) const {
    check(emcomp_lookup(handle(), ids.data(), ids.size(), out.data(), out.size(), threads));
  }

  std::vector<float> lookup(std::span<const std::int64_t> ids, int threads = 0) const {
    std::vector<float> out(ids.size() * width());
    lookup(ids, out, threads);
    return out;
  }

  std::vector<float> row(std::int64_t id) const { return lookup({&id, 1}, 1); }

  // Bags of rows to out [offsets.size(), dim]: bag i has the ids from offsets[i] up to
  // offsets[i + 1], the last one the rest. Weights, one for each id, only with kSum.
  void bag(std::span<const std::int64_t> ids, std::span<const std::int64_t> offsets, Mode mode,
           std::span<float> out, std::span<const float> weights = {}, int threads = 0) const {
    if (!weights.empty() && weights.size() != ids.size()) {
      throw Error(EMCOMP_INVALID_ARGUMENT, "weights must be as many as ids");
    }
    check(emcomp_bag(handle(), ids.data(), ids.size(), offsets.data(), offsets.size(),
                     weights.empty() ? nullptr : weights.data(), static_cast<emcomp_mode>(mode),
                     out.data(), out.size(), threads));
  }

  // The k rows of largest cosine with a vector, best first.
  std::vector<Neighbour> similar(std::span<const float> query, std::size_t k,
                                 int threads = 0) const {
    return neighbours(k, [&](std::int64_t* rows, double* cosines, std::size_t* found) {
      return emcomp_similar(handle(), query.data(), query.size(), k, rows, cosines, found, threads);
    });
  }

  // The same for a row, which is not its own neighbour.
  std::vector<Neighbour> similar(std::int64_t row, std::size_t k, int threads = 0) const {
    return neighbours(k, [&](std::int64_t* rows, double* cosines, std::size_t* found) {
      return emcomp_similar_to_row(handle(), row, k, rows, cosines, found, threads);
    });
  }

  // The row of a word, or nothing.
  std::optional<std::int64_t> find(std::string_view word) const {
    std::int64_t row = 0;
    const emcomp_status status = emcomp_find_word(handle(), word.data(), word.size(), &row);
    if (status == EMCOMP_UNKNOWN_WORD) return std::nullopt;
    check(status);
    return row;
  }

  // The word of a row; valid as long as the table.
  std::string_view word(std::int64_t row) const {
    const char* begin = nullptr;
    std::size_t length = 0;
    check(emcomp_word(handle(), row, &begin, &length));
    return {begin, length};
  }

 private:
  struct Close {
    void operator()(emcomp_table* table) const { emcomp_close(table); }
  };

  std::size_t width() const { return static_cast<std::size_t>(dim()); }

  template <class Search>
  std::vector<Neighbour> neighbours(std::size_t k, Search search) const {
    const std::size_t most = std::min(k, static_cast<std::size_t>(rows()));
    std::vector<std::int64_t> ids(most);
    std::vector<double> cosines(most);
    std::size_t found = 0;
    check(search(ids.data(), cosines.data(), &found));
    std::vector<Neighbour> result(found);
    for (std::size_t i = 0; i < found; ++i) result[i] = {ids[i], cosines[i]};
    return result;
  }

  std::unique_ptr<emcomp_table, Close> table_;
};

}  // namespace emcomp
