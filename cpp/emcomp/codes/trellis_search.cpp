#include "emcomp/codes/trellis_search.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "emcomp/packing/bit_packing.hpp"
#include "emcomp/simd/shuffle.hpp"

namespace emcomp::codes {

namespace {

using simd::Floats;
using simd::Ints;
using simd::kLanes;

constexpr float kNever = 0x1p80f;         // the cost of a window that a row must not begin with
constexpr std::size_t kLoweredEach = 16;  // steps
constexpr std::int64_t kShort = 8;        // windows in a row that is searched several times

// Costs are positive floats, which compare as their bits do. Their lowest bits name the predecessor
// while the best one is found.
template <int kWidth>
inline constexpr std::int32_t kTagMask = (1 << kWidth) - 1;

template <int kWidth>
inline Floats tagged(Floats costs, Ints tag) {
  return reinterpret_cast<Floats>((reinterpret_cast<Ints>(costs) & ~kTagMask<kWidth>) | tag);
}

template <int kWidth>
inline Floats without_tag(Floats costs) {
  return reinterpret_cast<Floats>(reinterpret_cast<Ints>(costs) & ~kTagMask<kWidth>);
}

inline Floats squared_error(const float* table, float value, float weight) {
  const Floats difference = value - simd::load(table);
  return difference * difference * weight;
}

// One step where whole vectors have the same predecessors' newest bits: for each `rest`, the bits
// that a window shares with the windows before it, the best of those; then all windows of it.
template <int kWidth>
void step_in_vectors(const float* costs, float* next, std::size_t states, const float* table,
                     float value, float weight, std::uint8_t* decisions) {
  constexpr std::size_t kBranches = std::size_t{1} << kWidth;
  const std::size_t rests = states >> kWidth;
  for (std::size_t rest = 0; rest < rests; rest += kLanes) {
    Floats best = tagged<kWidth>(simd::load(costs + rest), Ints{});
    Ints tag{};
    for (std::size_t branch = 1; branch < kBranches; ++branch) {
      tag += 1;
      best = simd::minimum(best, tagged<kWidth>(simd::load(costs + branch * rests + rest), tag));
    }
    simd::store_bytes(decisions + rest, reinterpret_cast<Ints>(best) & kTagMask<kWidth>);
    best = without_tag<kWidth>(best);
    std::size_t at = rest << kWidth;
    if constexpr (kBranches <= kLanes) {
      simd::for_each_index<kBranches>([&](auto part) {
        const Floats error = squared_error(table + at, value, weight);
        simd::store(next + at, simd::spread<kWidth, part>(best) + error);
        at += kLanes;
      });
    } else {
      for (int lane = 0; lane < kLanes; ++lane) {
        for (const std::size_t end = at + kBranches; at < end; at += kLanes) {
          simd::store(next + at, best[lane] + squared_error(table + at, value, weight));
        }
      }
    }
  }
}

// One step where a vector has windows of several predecessors' newest bits.
template <int kWidth>
void step_across_vectors(const float* costs, float* next, std::size_t states, const float* table,
                         float value, float weight, std::uint8_t* decisions) {
  const std::size_t rests = states >> kWidth;
  Floats best = simd::broadcast(kNever * 2);
  const auto rest_bits = static_cast<std::int32_t>(std::countr_zero(rests));
  for (std::size_t first = 0; first < states; first += kLanes) {
    const Ints tag = (simd::lane_index() + static_cast<std::int32_t>(first)) >> rest_bits;
    best = simd::minimum(best, tagged<kWidth>(simd::load(costs + first), tag));
  }
  alignas(64) std::array<float, kLanes> lanes;
  simd::store(lanes.data(), best);
  for (std::size_t rest = 0; rest < rests; ++rest) {
    float least = lanes[rest];
    for (std::size_t lane = rest + rests; lane < kLanes; lane += rests) {
      least = std::min(least, lanes[lane]);
    }
    const auto bits = std::bit_cast<std::int32_t>(least);
    decisions[rest] = static_cast<std::uint8_t>(bits & kTagMask<kWidth>);
    least = std::bit_cast<float>(bits & ~kTagMask<kWidth>);
    const std::size_t first = rest << kWidth;
    for (std::size_t at = first; at < first + (std::size_t{1} << kWidth); at += kLanes) {
      simd::store(next + at, least + squared_error(table + at, value, weight));
    }
  }
}

// A column without bits: windows stay as they are.
void step_in_place(float* costs, std::size_t states, const float* table, std::uint32_t flip,
                   float value, float weight) {
  const Ints lane_flip = Ints{} + static_cast<std::int32_t>(flip % kLanes);
  const std::size_t block_flip = flip - flip % kLanes;
  for (std::size_t first = 0; first < states; first += kLanes) {
    const Floats values =
        simd::permute(simd::load(table + (first ^ block_flip)), simd::lane_index() ^ lane_flip);
    const Floats difference = value - values;
    simd::store(costs + first, simd::load(costs + first) + difference * difference * weight);
  }
}

}  // namespace

TrellisSteps::TrellisSteps(const TrellisCode& code, const TrellisLayout& layout, std::int64_t reach)
    : states_(static_cast<std::size_t>(code.states())) {
  // Errors are weighed such that one of the expected size costs about 1.
  double expected = 0.0;
  std::int64_t live = 0;
  const auto add = [&](const Step& step) {
    steps_.push_back(step);
    if (step.width > 0) decision_bytes_ += states_ >> step.width;
  };
  if (const int spare = layout.spare_bits(); spare > 0) {
    add({.column = layout.dim(),
         .table = code.table(spare),
         .width = spare,
         .flip = 0,
         .inverse = 0.0f,
         .weight = 0.0f});
  }
  for (std::int64_t c = layout.dim() - 1; c >= 0; --c) {
    const auto at = static_cast<std::size_t>(c);
    const float factor = layout.factors[at];
    const int width = layout.widths[at];
    if (factor <= 0.0f && width == 0) continue;
    const float* table = code.table(width);
    if (factor > 0.0f) {
      double largest = 0.0;
      for (std::size_t w = 0; w < states_; ++w) {
        largest = std::max(largest, std::abs(double{table[w]}));
      }
      expected += std::ldexp(largest * largest * factor * factor, -2 * width - 2);
      ++live;
    }
    add({.column = c,
         .table = table,
         .width = width,
         .flip = layout.flip(c, code.states()),
         .inverse = factor > 0.0f ? 1.0f / factor : 0.0f,
         .weight = factor * factor});
  }
  int exponent = 0;
  if (live > 0 && expected > 0.0) std::frexp(expected / static_cast<double>(live), &exponent);
  for (Step& step : steps_) step.weight = std::ldexp(step.weight, -exponent);

  std::int64_t bits = 0;
  while (before_ < steps_.size() && bits < reach) bits += steps_[steps_.size() - ++before_].width;
  bits = 0;
  while (after_ < steps_.size() && bits < reach) bits += steps_[after_++].width;
  if (layout.code_bits() < kShort * code.window) {
    for (const std::size_t quarter : {2, 1, 3, 2}) {
      const std::size_t first = steps_.size() * quarter / 4;
      if (first > 0) again_.push_back(first);
    }
  }
}

void TrellisSearch::search(const TrellisSteps& steps, const float* entries,
                           std::uint16_t* windows) {
  const std::span<const TrellisSteps::Step> all = steps.steps_;
  const std::span<const TrellisSteps::Step> before = all.last(steps.before_);
  const std::span<const TrellisSteps::Step> after = all.first(steps.after_);
  const std::size_t most = 2 * steps.decision_bytes_ + kLanes;
  if (decisions_.size() < most) decisions_.resize(most);
  std::fill(costs_.begin(), costs_.end(), 1.0f);
  decided_ = 0;
  std::size_t taken = 0;
  for (const auto some : {before, after}) {
    for (const auto& step : some) {
      take(step, entries);
      if (++taken % kLoweredEach == 0) lower();
    }
  }
  std::size_t window = best();
  for (auto step = after.rbegin(); step != after.rend(); ++step) window = trace_back(*step, window);

  go_round(all, 0, window, entries, windows);
  for (const std::size_t first : steps.again_) {
    go_round(all, first, windows[all[first - 1].column], entries, windows);
  }
}

void TrellisSearch::go_round(std::span<const TrellisSteps::Step> all, std::size_t first,
                             std::size_t junction, const float* entries, std::uint16_t* windows) {
  const std::array<std::span<const TrellisSteps::Step>, 2> parts = {all.subspan(first),
                                                                    all.first(first)};
  std::fill(costs_.begin(), costs_.end(), kNever);
  costs_[junction] = 1.0f;
  decided_ = 0;
  std::size_t taken = 0;
  for (const auto part : parts) {
    for (const auto& step : part) {
      take(step, entries);
      if (++taken % kLoweredEach == 0) lower();
    }
  }
  std::size_t window = junction;
  for (const auto part : {parts[1], parts[0]}) {
    for (auto step = part.rbegin(); step != part.rend(); ++step) {
      windows[step->column] = static_cast<std::uint16_t>(window);
      window = trace_back(*step, window);
    }
  }
}

void TrellisSearch::take(const TrellisSteps::Step& step, const float* entries) {
  const float value = entries[step.column] * step.inverse;
  if (step.width == 0) {
    step_in_place(costs_.data(), states_, step.table, step.flip, value, step.weight);
    return;
  }
  std::uint8_t* decisions = decisions_.data() + decided_;
  decided_ += states_ >> step.width;
  packing::for_bits(step.width, [&](auto width) {
    constexpr int kWidth = width;
    const auto work =
        (states_ >> kWidth) >= kLanes ? &step_in_vectors<kWidth> : &step_across_vectors<kWidth>;
    work(costs_.data(), next_.data(), states_, step.table, value, step.weight, decisions);
  });
  std::swap(costs_, next_);
}

// Subtracts what all costs have in common, so that none grows beyond a float's precision.
void TrellisSearch::lower() {
  const float common = costs_[best()] - 1.0f;
  for (float& cost : costs_) cost -= common;
}

std::size_t TrellisSearch::best() const {
  return static_cast<std::size_t>(std::min_element(costs_.begin(), costs_.end()) - costs_.begin());
}

std::size_t TrellisSearch::trace_back(const TrellisSteps::Step& step, std::size_t window) {
  if (step.width == 0) return window;
  const std::size_t rests = states_ >> step.width;
  decided_ -= rests;
  const std::size_t rest = window >> step.width;
  return decisions_[decided_ + rest] * rests + rest;
}

}  // namespace emcomp::codes
