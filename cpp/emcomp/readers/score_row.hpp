// What a decoded row has to do with a query.
#pragma once

#include <cstdint>
#include <cstring>

namespace emcomp::readers {

// The dot product of a row with a query, and the row's squared norm. Sixteen sums, whatever the
// instruction set; products of floats are exact in double.
class RowScore {
 public:
  static constexpr std::int64_t kSums = 16;

  // The next kSums entries.
  [[gnu::always_inline]] void add(const float* row, const float* query) {
    for (int half = 0; half < 2; ++half) {
      const Doubles values = load(row + half * kLanes);
      dots_[half] += values * load(query + half * kLanes);
      squares_[half] += values * values;
    }
  }

  // The last entries, fewer than kSums.
  void add_first(const float* row, const float* query, std::int64_t count) {
    float values[kSums] = {};
    float against[kSums] = {};
    std::memcpy(values, row, static_cast<std::size_t>(count) * sizeof(float));
    std::memcpy(against, query, static_cast<std::size_t>(count) * sizeof(float));
    add(values, against);
  }

  double dot() const { return total(dots_); }
  double squared_norm() const { return total(squares_); }

 private:
  static constexpr std::int64_t kLanes = kSums / 2;
  typedef double Doubles __attribute__((vector_size(kLanes * 8)));
  typedef float Floats __attribute__((vector_size(kLanes * 4)));

  static Doubles load(const float* from) {
    Floats values;
    std::memcpy(&values, from, sizeof values);
    return __builtin_convertvector(values, Doubles);
  }

  static double total(const Doubles* sums) {
    double total = 0.0;
    for (int sum = 0; sum < kSums; ++sum) total += sums[sum / kLanes][sum % kLanes];
    return total;
  }

  Doubles dots_[2] = {};
  Doubles squares_[2] = {};
};

// The same of a whole row.
inline void score_row(const float* row, const float* query, std::int64_t dim, double& dot,
                      double& squared_norm) {
  RowScore score;
  std::int64_t c = 0;
  for (; c + RowScore::kSums <= dim; c += RowScore::kSums) score.add(row + c, query + c);
  score.add_first(row + c, query + c, dim - c);
  dot = score.dot();
  squared_norm = score.squared_norm();
}

}  // namespace emcomp::readers
