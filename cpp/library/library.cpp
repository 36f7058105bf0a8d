// The library itself: loads the module of the instruction-set level that suits this processor and
// passes calls on to it. Only one level is loaded, and nothing of it is visible to another.

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "isa/levels.hpp"
#include "library/functions.hpp"

namespace {

using emcomp::library::Functions;

struct Module {
  std::string level;
  const Functions* functions = nullptr;
  std::string error;  // where there are none
};

// Names the level to load, or says why no level runs.
Module choose_level() {
  const std::vector<std::string> built = emcomp::isa::split_levels(EMCOMP_BUILT_LEVELS);
  const std::vector<std::string> available = emcomp::isa::runnable_levels(built);
  Module chosen;
  if (available.empty()) {
    chosen.error = "the library was built for x86-64-" + built.front() +
                   " and above only, and this processor lacks";
    for (const std::string& feature : emcomp::isa::missing_features(built.front())) {
      chosen.error += " " + feature;
    }
    return chosen;
  }
  const char* wanted = std::getenv("EMCOMP_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    chosen.level = available.back();
  } else if (std::find(available.begin(), available.end(), wanted) != available.end()) {
    chosen.level = wanted;
  } else {
    chosen.error =
        "the level that EMCOMP_ISA names is not available: this build has " EMCOMP_BUILT_LEVELS
        ", as far as the processor runs them";
  }
  return chosen;
}

std::string module_path(const std::string& level) {
  Dl_info self{};
  dladdr(reinterpret_cast<const void*>(&emcomp_version), &self);
  const std::string path = self.dli_fname;
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash);
  return folder + "/libemcomp-" EMCOMP_VERSION "-" + level + ".so";
}

Module load() {
  Module found = choose_level();
  if (found.level.empty()) return found;
  // It stays loaded: threads of OpenMP and handlers of forks may be in it.
  void* handle = dlopen(module_path(found.level).c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle != nullptr) {
    found.functions = static_cast<const Functions*>(dlsym(handle, "emcomp_functions"));
  }
  if (found.functions == nullptr) {
    const char* reason = dlerror();
    found.error = "a part of the library cannot be loaded: " + std::string(reason ? reason : "");
  }
  return found;
}

const Module& chosen() {
  static const Module loaded = load();
  return loaded;
}

}  // namespace

emcomp_status emcomp_check_abi(int major, int minor) {
  const Functions* functions = chosen().functions;
  return functions == nullptr ? EMCOMP_INCOMPATIBLE : functions->check_abi(major, minor);
}

const char* emcomp_version(void) { return EMCOMP_VERSION; }

const char* emcomp_isa(void) {
  return chosen().functions == nullptr ? nullptr : chosen().level.c_str();
}

const char* emcomp_last_error(void) {
  const Functions* functions = chosen().functions;
  return functions == nullptr ? chosen().error.c_str() : functions->last_error();
}

emcomp_status emcomp_open(const char* path, emcomp_table** table) {
  const Functions* functions = chosen().functions;
  return functions == nullptr ? EMCOMP_INCOMPATIBLE : functions->open(path, table);
}

// A table that is there has come from a module that is there.

void emcomp_close(emcomp_table* table) {
  if (table != nullptr) chosen().functions->close(table);
}

emcomp_status emcomp_verify(const emcomp_table* table) { return chosen().functions->verify(table); }

int64_t emcomp_rows(const emcomp_table* table) { return chosen().functions->rows(table); }

int64_t emcomp_dim(const emcomp_table* table) { return chosen().functions->dim(table); }

const char* emcomp_codec(const emcomp_table* table) { return chosen().functions->codec(table); }

int emcomp_has_words(const emcomp_table* table) { return chosen().functions->has_words(table); }

emcomp_status emcomp_lookup(const emcomp_table* table, const int64_t* ids, size_t count, float* out,
                            size_t out_size, int threads) {
  return chosen().functions->lookup(table, ids, count, out, out_size, threads);
}

emcomp_status emcomp_bag(const emcomp_table* table, const int64_t* ids, size_t count,
                         const int64_t* offsets, size_t bags, const float* weights,
                         emcomp_mode mode, float* out, size_t out_size, int threads) {
  return chosen().functions->bag(table, ids, count, offsets, bags, weights, mode, out, out_size,
                                 threads);
}

emcomp_status emcomp_similar(const emcomp_table* table, const float* query, size_t dim, size_t k,
                             int64_t* rows, double* cosines, size_t* found, int threads) {
  return chosen().functions->similar(table, query, dim, k, rows, cosines, found, threads);
}

emcomp_status emcomp_similar_to_row(const emcomp_table* table, int64_t row, size_t k, int64_t* rows,
                                    double* cosines, size_t* found, int threads) {
  return chosen().functions->similar_to_row(table, row, k, rows, cosines, found, threads);
}

emcomp_status emcomp_find_word(const emcomp_table* table, const char* word, size_t length,
                               int64_t* row) {
  return chosen().functions->find_word(table, word, length, row);
}

emcomp_status emcomp_word(const emcomp_table* table, int64_t row, const char** word,
                          size_t* length) {
  return chosen().functions->word(table, row, word, length);
}
