// The best trellis code of a row: the Viterbi algorithm on a circle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/codes/trellis_code.hpp"

namespace emcomp::codes {

// What the search of all rows of a class shares; must outlive the searches, as the code must.
//
// Columns are taken from the last to the first: the window of a column is that of the next one,
// shifted by the column's width to make place for its own bits.
class TrellisSteps {
 public:
  // `reach`: bits on either side of a row's junction from which its window there is found.
  TrellisSteps(const TrellisCode& code, const TrellisLayout& layout, std::int64_t reach);

 private:
  friend class TrellisSearch;

  struct Step {
    std::int64_t column;
    const float* table;
    int width;
    std::uint32_t flip;
    float inverse;  // of the column's factor
    float weight;   // of a squared error in the table's units
  };

  std::size_t states_;
  std::vector<Step> steps_;  // of the columns that are not left out, the last column first
  std::size_t before_ = 0;   // steps up to the junction from which its window is found
  std::size_t after_ = 0;    // and from there on
  // Where else rows of few windows are searched from, once they have windows.
  std::vector<std::size_t> again_;
  std::size_t decision_bytes_ = 0;
};

// Searches for one thread.
class TrellisSearch {
 public:
  explicit TrellisSearch(const TrellisCode& code)
      : states_(static_cast<std::size_t>(code.states())), costs_(states_), next_(states_) {}

  // The windows [dim + 1] of the codes of a row, the last one that of the spare bits, given its
  // entries over its gain and one more, which is zero. Windows that nothing is read from are not
  // set.
  void search(const TrellisSteps& steps, const float* entries, std::uint16_t* windows);

 private:
  // The best way round from step `first` on that begins and ends with a window.
  void go_round(std::span<const TrellisSteps::Step> all, std::size_t first, std::size_t junction,
                const float* entries, std::uint16_t* windows);
  void take(const TrellisSteps::Step& step, const float* entries);
  void lower();
  std::size_t best() const;
  std::size_t trace_back(const TrellisSteps::Step& step, std::size_t window);

  std::size_t states_;
  std::vector<float> costs_;
  std::vector<float> next_;
  std::vector<std::uint8_t> decisions_;  // of all steps taken, one after another
  std::size_t decided_ = 0;
};

}  // namespace emcomp::codes
