// k-means in one dimension, to the optimum: the levels of least squared error for the values of a
// histogram. Dynamic programming over the cells' boundaries (Bellman 1973), whose rows of minima
// are monotone (Wu 1991), then Lloyd's steps.
#pragma once

#include <cstddef>
#include <vector>

#include "emcomp/statistics/value_histogram.hpp"

namespace emcomp::kmeans {

struct LevelFit {
  double squared_error = 0.0;  // of all values against their nearest levels
  double spread_error = 0.0;   // what of it comes from taking a bin's values as spread evenly
};

// Writes `count` ascending levels. Where there are fewer distinct values than levels, each is a
// level and the last one is repeated.
LevelFit optimal_levels(const statistics::ValueHistogram& histogram, std::size_t count,
                        float* levels);

}  // namespace emcomp::kmeans
