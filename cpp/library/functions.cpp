// The functions of emcomp.h at one instruction-set level: check, call the core, and turn what it
// throws into a status and a message.

#include "library/functions.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/parallel.hpp"
#include "emcomp/file/mapped_file.hpp"
#include "emcomp/file/table_file.hpp"
#include "emcomp/readers/lookup.hpp"

static_assert(std::endian::native == std::endian::little, "tensors are used as they lie in files");

// A mapped file and the table over it.
struct emcomp_table {
  explicit emcomp_table(const char* path)
      : file(path), opened(emcomp::file::read_table(emcomp::file::read_container(file.bytes()))) {}

  const emcomp::readers::RowReader& reader() const { return *opened.reader; }
  std::int64_t rows() const { return reader().rows(); }
  std::size_t dim() const { return static_cast<std::size_t>(reader().dim()); }

  emcomp::file::MappedFile file;
  emcomp::file::TableFile opened;
};

namespace emcomp::library {

namespace {

constexpr std::size_t kMessageBytes = 1024;
thread_local char message[kMessageBytes] = "";  // fixed, so that saying it cannot fail

emcomp_status say(emcomp_status status, const char* context, const char* text) {
  std::snprintf(message, kMessageBytes, "%s%s%s", context, *context == '\0' ? "" : ": ", text);
  return status;
}

emcomp_status fail(emcomp_status status, const std::string& text) {
  return say(status, "", text.c_str());
}

emcomp_status invalid(const std::string& text) { return fail(EMCOMP_INVALID_ARGUMENT, text); }

// Runs a function's work; nothing is thrown past this. `context` is put before the message.
template <class Work>
emcomp_status guarded(Work work, const char* context = "") noexcept {
  try {
    return work();
  } catch (const InputError& error) {
    return say(EMCOMP_INVALID_ARGUMENT, context, error.what());
  } catch (const CorruptFileError& error) {
    return say(EMCOMP_CORRUPT_FILE, context, error.what());
  } catch (const FormatError& error) {
    return say(EMCOMP_NOT_A_TABLE, context, error.what());
  } catch (const std::system_error& error) {
    return say(EMCOMP_IO_ERROR, context, error.what());
  } catch (const std::bad_alloc&) {
    return say(EMCOMP_OUT_OF_MEMORY, context, "out of memory");
  } catch (const std::exception& error) {
    return say(EMCOMP_INTERNAL, context, error.what());
  } catch (...) {
    return say(EMCOMP_INTERNAL, context, "an unknown error");
  }
}

int resolved(int threads) {
  if (threads < 0) throw InputError("threads must not be negative");
  return threads == 0 ? base::default_threads() : threads;
}

std::string out_of_range(std::int64_t row, std::int64_t rows) {
  return "row " + std::to_string(row) + " is out of range for a table of " + std::to_string(rows) +
         " rows";
}

emcomp_status check_ids(const emcomp_table& table, std::span<const std::int64_t> ids) {
  const std::int64_t bad = readers::find_bad_id(ids, table.rows());
  if (bad < 0) return EMCOMP_OK;
  return fail(EMCOMP_OUT_OF_RANGE, out_of_range(ids[static_cast<std::size_t>(bad)], table.rows()) +
                                       " (at position " + std::to_string(bad) + " of the ids)");
}

emcomp_status check_out(const emcomp_table& table, std::size_t rows, std::size_t out_size) {
  if (rows <= out_size / table.dim() && out_size == rows * table.dim()) return EMCOMP_OK;
  return invalid("out has " + std::to_string(out_size) + " entries for " + std::to_string(rows) +
                 " rows of " + std::to_string(table.dim()));
}

emcomp_status check_offsets(std::span<const std::int64_t> offsets, std::size_t ids) {
  if (offsets.empty() && ids > 0) return invalid("there are ids but no offsets");
  if (!offsets.empty() && offsets[0] != 0) {
    return invalid("the first offset must be 0, not " + std::to_string(offsets[0]));
  }
  std::int64_t previous = 0;
  for (const std::int64_t offset : offsets) {
    if (offset < previous || static_cast<std::size_t>(offset) > ids) {
      return fail(EMCOMP_OUT_OF_RANGE,
                  "offsets must ascend from 0 to at most the number of ids, found " +
                      std::to_string(offset) + " after " + std::to_string(previous));
    }
    previous = offset;
  }
  return EMCOMP_OK;
}

emcomp_status check_abi(int major, int minor) {
  if (major == EMCOMP_ABI_MAJOR && minor <= EMCOMP_ABI_MINOR) return EMCOMP_OK;
  return guarded([&] {
    return fail(EMCOMP_INCOMPATIBLE,
                "the program was made for interface " + std::to_string(major) + "." +
                    std::to_string(minor) + " of emcomp, the library has " +
                    std::to_string(EMCOMP_ABI_MAJOR) + "." + std::to_string(EMCOMP_ABI_MINOR));
  });
}

const char* last_error() { return message; }

emcomp_status open(const char* path, emcomp_table** table) {
  return guarded(
      [&] {
        *table = std::make_unique<emcomp_table>(path).release();
        return EMCOMP_OK;
      },
      path);
}

void close(emcomp_table* table) { const std::unique_ptr<emcomp_table> last(table); }

emcomp_status verify(const emcomp_table* table) {
  return guarded([&] {
    file::verify_container(table->file.bytes());
    return EMCOMP_OK;
  });
}

std::int64_t rows(const emcomp_table* table) { return table->rows(); }
std::int64_t dim(const emcomp_table* table) { return table->reader().dim(); }
const char* codec(const emcomp_table* table) { return table->opened.codec.c_str(); }
int has_words(const emcomp_table* table) { return table->opened.words.has_value() ? 1 : 0; }

emcomp_status lookup(const emcomp_table* table, const std::int64_t* ids, std::size_t count,
                     float* out, std::size_t out_size, int threads) {
  return guarded([&]() -> emcomp_status {
    const std::span<const std::int64_t> wanted(ids, count);
    if (const auto bad = check_out(*table, count, out_size)) return bad;
    if (const auto bad = check_ids(*table, wanted)) return bad;
    readers::gather_rows(table->reader(), wanted, base::DType::kFloat32,
                         reinterpret_cast<std::byte*>(out), resolved(threads));
    return EMCOMP_OK;
  });
}

emcomp_status bag(const emcomp_table* table, const std::int64_t* ids, std::size_t count,
                  const std::int64_t* offsets, std::size_t bags, const float* weights,
                  emcomp_mode mode, float* out, std::size_t out_size, int threads) {
  return guarded([&]() -> emcomp_status {
    const std::span<const std::int64_t> wanted(ids, count);
    const std::span<const std::int64_t> starts(offsets, bags);
    if (mode != EMCOMP_SUM && mode != EMCOMP_MEAN && mode != EMCOMP_MAX) {
      return invalid("the mode must be EMCOMP_SUM, EMCOMP_MEAN or EMCOMP_MAX");
    }
    if (weights != nullptr && mode != EMCOMP_SUM) return invalid("weights need EMCOMP_SUM");
    if (const auto bad = check_out(*table, bags, out_size)) return bad;
    if (const auto bad = check_offsets(starts, count)) return bad;
    if (const auto bad = check_ids(*table, wanted)) return bad;
    const readers::BagMode how = mode == EMCOMP_SUM    ? readers::BagMode::kSum
                                 : mode == EMCOMP_MEAN ? readers::BagMode::kMean
                                                       : readers::BagMode::kMax;
    readers::reduce_bags(table->reader(), wanted, starts, weights, how, out, resolved(threads));
    return EMCOMP_OK;
  });
}

emcomp_status similar(const emcomp_table* table, const float* query, std::size_t dim, std::size_t k,
                      std::int64_t* rows, double* cosines, std::size_t* found, int threads) {
  return guarded([&]() -> emcomp_status {
    if (k < 1) return invalid("k must be at least 1");
    if (dim != table->dim() ||
        !std::all_of(query, query + dim, [](float entry) { return std::isfinite(entry); })) {
      return invalid("a query must be " + std::to_string(table->dim()) + " finite numbers");
    }
    *found = std::min(k, static_cast<std::size_t>(table->rows()));
    readers::most_similar(table->reader(), query, 1, static_cast<std::int64_t>(*found), rows,
                          cosines, resolved(threads));
    return EMCOMP_OK;
  });
}

emcomp_status similar_to_row(const emcomp_table* table, std::int64_t row, std::size_t k,
                             std::int64_t* rows, double* cosines, std::size_t* found, int threads) {
  return guarded([&]() -> emcomp_status {
    if (k < 1) return invalid("k must be at least 1");
    if (const auto bad = check_ids(*table, {&row, 1})) return bad;
    const std::int64_t own = row < 0 ? row + table->rows() : row;
    std::vector<float> query(table->dim());
    table->reader().gather({&own, 1}, 0, 1, query.data());
    const auto most = static_cast<std::size_t>(table->rows());
    std::vector<std::int64_t> nearest(k < most ? k + 1 : most);  // one may be the row itself
    std::vector<double> cosine(nearest.size());
    std::size_t count = 0;
    if (const auto bad = similar(table, query.data(), query.size(), nearest.size(), nearest.data(),
                                 cosine.data(), &count, threads)) {
      return bad;
    }
    *found = 0;
    for (std::size_t i = 0; i < count && *found < k; ++i) {
      if (nearest[i] == own) continue;
      rows[*found] = nearest[i];
      cosines[*found] = cosine[i];
      ++*found;
    }
    return EMCOMP_OK;
  });
}

emcomp_status find_word(const emcomp_table* table, const char* word, std::size_t length,
                        std::int64_t* row) {
  return guarded([&]() -> emcomp_status {
    if (!table->opened.words) return fail(EMCOMP_UNKNOWN_WORD, "the table has no words");
    const auto found = words::find(*table->opened.words, {word, length});
    if (!found) {
      std::string printed(word, length);
      std::replace(printed.begin(), printed.end(), '\0', '?');
      return fail(EMCOMP_UNKNOWN_WORD, "the word '" + printed + "' is not in the table");
    }
    *row = *found;
    return EMCOMP_OK;
  });
}

emcomp_status word(const emcomp_table* table, std::int64_t row, const char** word,
                   std::size_t* length) {
  return guarded([&]() -> emcomp_status {
    if (!table->opened.words) return invalid("the table has no words");
    if (const auto bad = check_ids(*table, {&row, 1})) return bad;
    const std::string_view bytes = table->opened.words->words[row < 0 ? row + table->rows() : row];
    *word = bytes.data();
    *length = bytes.size();
    return EMCOMP_OK;
  });
}

}  // namespace

}  // namespace emcomp::library

extern "C" EMCOMP_API constexpr emcomp::library::Functions emcomp_functions = {
    .check_abi = emcomp::library::check_abi,
    .last_error = emcomp::library::last_error,
    .open = emcomp::library::open,
    .close = emcomp::library::close,
    .verify = emcomp::library::verify,
    .rows = emcomp::library::rows,
    .dim = emcomp::library::dim,
    .codec = emcomp::library::codec,
    .has_words = emcomp::library::has_words,
    .lookup = emcomp::library::lookup,
    .bag = emcomp::library::bag,
    .similar = emcomp::library::similar,
    .similar_to_row = emcomp::library::similar_to_row,
    .find_word = emcomp::library::find_word,
    .word = emcomp::library::word,
};
