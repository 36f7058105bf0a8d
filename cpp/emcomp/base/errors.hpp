// The kinds of error the core raises; the bindings turn each into the Python class of its name.
#pragma once

#include <stdexcept>

namespace emcomp {

struct InputError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CorruptFileError : FormatError {
  using FormatError::FormatError;
};

}  // namespace emcomp
