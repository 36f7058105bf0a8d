// The Python object that holds a linear map.
#pragma once

#include <memory>

#include "emcomp/transforms/linear_map.hpp"

namespace emcomp::bindings {

struct PyLinearMap {
  std::shared_ptr<const transforms::LinearMap> map;
};

}  // namespace emcomp::bindings
