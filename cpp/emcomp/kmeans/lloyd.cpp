#include "emcomp/kmeans/lloyd.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "emcomp/base/index.hpp"
#include "emcomp/base/parallel.hpp"

namespace emcomp::kmeans {

namespace {

constexpr std::int64_t kFusedMinDim = 32;      // below, products are a small part of the work
constexpr std::int64_t kGroupSize = 32;        // centroids that share a lower bound
constexpr std::int64_t kColumnsTogether = 32;  // whose sums stay in cache

float rounded_up(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

// Splits members[begin, end) into groups of neighbours, all of kGroupSize but the last: halves
// apart along the line between two far members, again and again.
void split(std::span<std::int32_t> members, const std::vector<float>& centroids, std::int64_t dim,
           std::vector<std::vector<std::int32_t>>& groups) {
  const auto count = static_cast<std::int64_t>(members.size());
  if (count <= kGroupSize) {
    groups.emplace_back(members.begin(), members.end());
    std::sort(groups.back().begin(), groups.back().end());
    return;
  }
  const auto centroid = [&](std::int32_t member) { return centroids.data() + member * dim; };
  const auto farthest_from = [&](std::int32_t from) {
    return *std::max_element(members.begin(), members.end(), [&](std::int32_t a, std::int32_t b) {
      return squared_distance(centroid(a), centroid(from), dim) <
             squared_distance(centroid(b), centroid(from), dim);
    });
  };
  const std::int32_t one_end = farthest_from(members[0]);
  const std::int32_t other_end = farthest_from(one_end);
  std::vector<std::pair<float, std::int32_t>> order;
  for (const std::int32_t member : members) {
    order.emplace_back(squared_distance(centroid(member), centroid(one_end), dim) -
                           squared_distance(centroid(member), centroid(other_end), dim),
                       member);
  }
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) members[i] = order[i].second;
  const std::int64_t half = (count / 2 + kGroupSize - 1) / kGroupSize * kGroupSize;
  split(members.first(base::at(half)), centroids, dim, groups);
  split(members.subspan(base::at(half)), centroids, dim, groups);
}

}  // namespace

struct Lloyd::Scratch {
  std::vector<float> rows;
  std::vector<std::vector<std::int32_t>> lists;  // rows to search, by group
  std::vector<NearestTwo> nearest;
  std::vector<std::int32_t> labels;
  std::vector<float> scores;
  std::vector<float> seconds;
  std::vector<std::size_t> groups;

  Scratch(std::int64_t dim, std::size_t group_count)
      : rows(base::at(base::kBlockRows * dim)),
        lists(group_count),
        nearest(base::kBlockRows),
        labels(base::kBlockRows),
        scores(base::kBlockRows),
        seconds(base::kBlockRows),
        groups(base::kBlockRows) {}
};

Lloyd::Lloyd(std::span<const float> centroids, std::int64_t dim, std::int64_t rows, bool use_bounds)
    : dim_(dim),
      use_bounds_(use_bounds),
      products_(dim < kFusedMinDim ? Products::kPortable : Products::kFused),
      centroids_(centroids.begin(), centroids.end()) {
  const auto count = static_cast<std::int64_t>(centroids.size()) / dim;
  shift_.resize(base::at(dim));
  for (std::int64_t j = 0; j < dim; ++j) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < count; ++i) sum += centroids_[base::at(i * dim + j)];
    shift_[base::at(j)] = static_cast<float>(sum / static_cast<double>(count));
    for (std::int64_t i = 0; i < count; ++i)
      centroids_[base::at(i * dim + j)] -= shift_[base::at(j)];
  }
  sums_.assign(centroids.size(), 0.0);
  sizes_.assign(base::at(count), 0);
  drifts_.assign(base::at(count), 0.0f);
  labels_.assign(base::at(rows), -1);
  norms_.assign(base::at(rows), 0.0f);
  distances_.assign(base::at(rows), 0.0f);
  form_groups();
  if (use_bounds_) bounds_.assign(base::at(rows) * groups_.size(), 0.0f);
}

void Lloyd::form_groups() {
  std::vector<std::int32_t> members(sizes_.size());
  std::iota(members.begin(), members.end(), 0);
  std::vector<std::vector<std::int32_t>> parts;
  if (use_bounds_) {
    split(members, centroids_, dim_, parts);
  } else {
    parts.push_back(members);
  }
  group_of_.resize(sizes_.size());
  for (auto& part : parts) {
    for (const std::int32_t member : part) {
      group_of_[base::at(member)] = static_cast<std::int32_t>(groups_.size());
    }
    groups_.push_back({.members = std::move(part), .nearest = {}});
  }
}

void Lloyd::prepare_search() {
  std::vector<float> codewords;
  longest_centroid_ = 0.0f;
  for (Group& group : groups_) {
    codewords.clear();
    group.drift = 0.0f;
    for (const std::int32_t member : group.members) {
      const auto centroid = centroids_.begin() + member * dim_;
      codewords.insert(codewords.end(), centroid, centroid + dim_);
      group.drift = std::max(group.drift, drifts_[base::at(member)]);
      longest_centroid_ =
          std::max(longest_centroid_, std::sqrt(checked_squared_norm(&*centroid, dim_, member)));
    }
    group.nearest =
        NearestCodeword(codewords.data(), static_cast<std::int64_t>(group.members.size()), dim_);
  }
  std::fill(drifts_.begin(), drifts_.end(), 0.0f);
  changed_ = 0;
  search_is_current_ = true;
}

void Lloyd::assign(const base::MatrixView& block, std::int64_t first, int threads) {
  if (!search_is_current_) prepare_search();
  threads = base::threads_for(block.rows * dim_ * count() / 8, threads);
  const std::int64_t blocks = (block.rows + base::kBlockRows - 1) / base::kBlockRows;
  moves_.assign(base::at(blocks), {});
  std::atomic<std::int64_t> next{0};
  std::atomic<std::int64_t> computed{0};
  base::run_threads(threads, [&](int) {
    Scratch scratch(dim_, groups_.size());
    for (std::int64_t i = next++; i < blocks; i = next++) {
      const std::int64_t begin = i * base::kBlockRows;
      const std::int64_t end = std::min(begin + base::kBlockRows, block.rows);
      assign_block(block, begin, end, first, scratch);
      for (std::size_t g = 0; g < groups_.size(); ++g) {
        computed += static_cast<std::int64_t>(scratch.lists[g].size() * groups_[g].members.size());
      }
    }
  });
  distances_computed_ += computed;
  add_moves(block, first, threads);
}

void Lloyd::assign_block(const base::MatrixView& block, std::int64_t begin, std::int64_t end,
                         std::int64_t first, Scratch& scratch) {
  const std::int64_t count = end - begin;
  const std::int64_t row_offset = first + begin;
  const float* source = base::rows_as_float(block, begin, count, scratch.rows.data());
  float* rows = scratch.rows.data();
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t j = 0; j < dim_; ++j) {
      rows[r * dim_ + j] = source[r * dim_ + j] - shift_[base::at(j)];
    }
  }
  const auto distance_to = [&](std::int64_t r, std::int32_t label) {
    return squared_distance(rows + r * dim_, centroids_.data() + label * dim_, dim_);
  };

  for (auto& list : scratch.lists) list.clear();
  const auto group_count = static_cast<std::int64_t>(groups_.size());
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int64_t row = row_offset + r;
    const std::int32_t label = labels_[base::at(row)];
    const auto listed = static_cast<std::int32_t>(r);
    if (label < 0) {
      norms_[base::at(row)] = std::sqrt(checked_squared_norm(rows + r * dim_, dim_, row));
    }
    if (label < 0 || !use_bounds_) {
      for (auto& list : scratch.lists) list.push_back(listed);
      continue;
    }
    const float distance = distance_to(r, label);
    distances_[base::at(row)] = distance;
    const float upper = std::sqrt(distance + rounding_slack(row));
    float* bounds = bounds_.data() + row * group_count;
    bool search_any = false;
    for (std::int64_t g = 0; g < group_count; ++g) {
      // The factor covers the rounding of this line.
      bounds[g] = bounds[g] * (1.0f - 0x1p-21f) - groups_[base::at(g)].drift * (1.0f + 0x1p-21f);
      if (bounds[g] > upper) continue;
      scratch.lists[base::at(g)].push_back(listed);
      search_any = true;
    }
    // The row's own group is searched with any other, so that scores are compared with scores.
    const std::int32_t own = group_of_[base::at(label)];
    if (search_any && bounds[own] > upper) scratch.lists[base::at(own)].push_back(listed);
  }

  std::fill_n(scratch.labels.begin(), count, -1);
  if (use_bounds_) {
    std::fill_n(scratch.scores.begin(), count, std::numeric_limits<float>::infinity());
    for (std::size_t g = 0; g < groups_.size(); ++g) search_group(g, row_offset, scratch);
  } else {
    groups_[0].nearest.search(rows, dim_, count, products_, scratch.labels.data());
  }

  std::vector<Move>& moves = moves_[base::at(begin / base::kBlockRows)];
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int32_t label = scratch.labels[base::at(r)];
    if (label < 0) continue;
    const std::int64_t row = row_offset + r;
    if (use_bounds_) {
      bounds_[base::at(row * group_count) + scratch.groups[base::at(r)]] =
          lower_bound(scratch.seconds[base::at(r)], row);
    }
    std::int32_t& old_label = labels_[base::at(row)];
    if (label != old_label || !use_bounds_) distances_[base::at(row)] = distance_to(r, label);
    if (label != old_label) moves.push_back({row, old_label, label});
    old_label = label;
  }
}

void Lloyd::search_group(std::size_t group, std::int64_t row_offset, Scratch& scratch) {
  const auto& list = scratch.lists[group];
  const auto& members = groups_[group].members;
  groups_[group].nearest.search_two(scratch.rows.data(), dim_, list, products_,
                                    scratch.nearest.data());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto r = base::at(list[i]);
    const std::int64_t row = row_offset + list[i];
    const NearestTwo& found = scratch.nearest[i];
    const std::int32_t label = members[base::at(found.index)];
    bounds_[base::at(row) * groups_.size() + group] = lower_bound(found.score, row);
    if (found.score < scratch.scores[r] ||
        (found.score == scratch.scores[r] && label < scratch.labels[r])) {
      scratch.scores[r] = found.score;
      scratch.seconds[r] = found.second;
      scratch.labels[r] = label;
      scratch.groups[r] = group;
    }
  }
}

// Bounds the rounding of a squared distance that comes from a score: dim products of at most
// |x| |c|, and the two squared norms.
float Lloyd::rounding_slack(std::int64_t row) const {
  const float reach = norms_[base::at(row)] + longest_centroid_;
  return static_cast<float>(dim_ + 8) * 0x1p-23f * reach * reach;
}

float Lloyd::lower_bound(float score, std::int64_t row) const {
  const float norm = norms_[base::at(row)];
  return std::sqrt(std::max(norm * norm + 2.0f * score - rounding_slack(row), 0.0f));
}

void Lloyd::add_moves(const base::MatrixView& block, std::int64_t first, int threads) {
  for (const auto& moves : moves_) {
    changed_ += static_cast<std::int64_t>(moves.size());
    for (const Move& move : moves) {
      if (move.from >= 0) --sizes_[base::at(move.from)];
      ++sizes_[base::at(move.to)];
    }
  }
  // Threads share out the columns, so that every sum is taken in the order of the rows.
  base::parallel_blocks(dim_, kColumnsTogether, threads, [&](std::int64_t begin, std::int64_t end) {
    const base::MatrixView columns = columns_of(block, begin, end - begin);
    double values[kColumnsTogether];
    for (const auto& moves : moves_) {
      for (const Move& move : moves) {
        base::load_rows(columns, move.row - first, 1, values);
        double* to = sums_.data() + move.to * dim_ + begin;
        for (std::int64_t j = 0; j < end - begin; ++j) to[j] += values[j];
        if (move.from < 0) continue;
        double* from = sums_.data() + move.from * dim_ + begin;
        for (std::int64_t j = 0; j < end - begin; ++j) from[j] -= values[j];
      }
    }
  });
}

void Lloyd::move_to(std::int64_t cluster, std::span<const double> target) {
  double squared = 0.0;
  for (std::int64_t j = 0; j < dim_; ++j) {
    float& value = centroids_[base::at(cluster * dim_ + j)];
    const auto moved = static_cast<float>(target[base::at(j)] - shift_[base::at(j)]);
    const double difference = static_cast<double>(moved) - value;
    squared += difference * difference;
    value = moved;
  }
  drifts_[base::at(cluster)] += rounded_up(std::sqrt(squared));
  search_is_current_ = false;
}

void Lloyd::update() {
  std::vector<double> mean(base::at(dim_));
  for (std::int64_t cluster = 0; cluster < count(); ++cluster) {
    double* sums = sums_.data() + cluster * dim_;
    if (sizes_[base::at(cluster)] == 0) {
      std::fill_n(sums, dim_, 0.0);  // taking rows away leaves rounding behind
      continue;
    }
    const auto size = static_cast<double>(sizes_[base::at(cluster)]);
    for (std::int64_t j = 0; j < dim_; ++j) mean[base::at(j)] = sums[j] / size;
    move_to(cluster, mean);
  }
}

void Lloyd::replace(std::int64_t cluster, std::span<const double> row) { move_to(cluster, row); }

std::vector<std::int64_t> Lloyd::empty_clusters() const {
  std::vector<std::int64_t> empty;
  for (std::int64_t cluster = 0; cluster < count(); ++cluster) {
    if (sizes_[base::at(cluster)] == 0) empty.push_back(cluster);
  }
  return empty;
}

std::vector<std::int64_t> Lloyd::farthest_rows(std::int64_t wanted) const {
  if (wanted == 0) return {};
  std::vector<std::int64_t> order(labels_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    if (distances_[base::at(a)] != distances_[base::at(b)])
      return distances_[base::at(a)] > distances_[base::at(b)];
    if (labels_[base::at(a)] != labels_[base::at(b)])
      return labels_[base::at(a)] < labels_[base::at(b)];
    return a < b;
  });
  std::vector<std::int64_t> farthest;
  for (const std::int64_t row : order) {
    if (static_cast<std::int64_t>(farthest.size()) == wanted || distances_[base::at(row)] == 0.0f)
      break;
    // Equal rows have equal distances from the same centroid; one of them is enough.
    if (!farthest.empty() && distances_[base::at(row)] == distances_[base::at(farthest.back())] &&
        labels_[base::at(row)] == labels_[base::at(farthest.back())]) {
      continue;
    }
    farthest.push_back(row);
  }
  return farthest;
}

double Lloyd::inertia() const { return std::accumulate(distances_.begin(), distances_.end(), 0.0); }

std::vector<float> Lloyd::centroids() const {
  std::vector<float> centroids = centroids_;
  for (std::size_t i = 0; i < centroids.size(); ++i) centroids[i] += shift_[i % base::at(dim_)];
  return centroids;
}

}  // namespace emcomp::kmeans
