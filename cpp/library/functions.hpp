// What the module of an instruction-set level gives to the library: every function of emcomp.h that
// does work. The library chooses a module and passes the calls on.
#pragma once

#include "emcomp.h"

namespace emcomp::library {

struct Functions {
  decltype(&emcomp_check_abi) check_abi;
  decltype(&emcomp_last_error) last_error;
  decltype(&emcomp_open) open;
  decltype(&emcomp_close) close;
  decltype(&emcomp_verify) verify;
  decltype(&emcomp_rows) rows;
  decltype(&emcomp_dim) dim;
  decltype(&emcomp_codec) codec;
  decltype(&emcomp_has_words) has_words;
  decltype(&emcomp_lookup) lookup;
  decltype(&emcomp_bag) bag;
  decltype(&emcomp_similar) similar;
  decltype(&emcomp_similar_to_row) similar_to_row;
  decltype(&emcomp_find_word) find_word;
  decltype(&emcomp_word) word;
};

}  // namespace emcomp::library
