// k-means on rows: Lloyd's rounds over blocks of rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "emcomp/base/matrix_view.hpp"
#include "emcomp/kmeans/nearest_codeword.hpp"

namespace emcomp::kmeans {

// Columns [first, first + count) of a matrix.
inline base::MatrixView columns_of(const base::MatrixView& matrix, std::int64_t first,
                                   std::int64_t count) {
  base::MatrixView columns = matrix;
  columns.data += first * matrix.column_stride;
  columns.dim = count;
  return columns;
}

// A matrix [values.size() / dim, dim] of floats in memory.
inline base::MatrixView dense_view(std::span<const float> values, std::int64_t dim) {
  return {.data = reinterpret_cast<const std::byte*>(values.data()),
          .rows = static_cast<std::int64_t>(values.size()) / dim,
          .dim = dim,
          .row_stride = dim * 4,
          .column_stride = 4};
}

// The state of k-means between rounds. A round is assign() for every block of rows, then update().
//
// Distances that cannot change an assignment are skipped (Ding et al. 2015, "Yinyang k-means",
// section 4): each row keeps a lower bound on its distance to every group of centroids. The bounds
// allow for rounding, so that the result is the same, bit for bit, as without them.
class Lloyd {
 public:
  // centroids [count, dim]; `rows` is how many rows there are in all blocks together.
  Lloyd(std::span<const float> centroids, std::int64_t dim, std::int64_t rows, bool use_bounds);

  // Gives rows [first, first + block.rows) the labels of their nearest centroids and adds them to
  // the sums. Throws InputError at a row that is not finite.
  void assign(const base::MatrixView& block, std::int64_t first, int threads);

  // Moves each centroid to the mean of its rows; one without rows stays.
  void update();

  // Puts a centroid on a row [dim].
  void replace(std::int64_t cluster, std::span<const double> row);

  // Clusters that no row is assigned to.
  std::vector<std::int64_t> empty_clusters() const;

  // The `wanted` rows farthest from their centroids, the farthest first, no two with the same
  // centroid and distance. Fewer where fewer are off their centroids.
  std::vector<std::int64_t> farthest_rows(std::int64_t wanted) const;

  // Sum of squared distances of all rows from their centroids, as last assigned.
  double inertia() const;

  // Rows whose label changed in this round.
  std::int64_t changed() const { return changed_; }

  // Distances computed so far, in rows times centroids.
  std::int64_t distances_computed() const { return distances_computed_; }

  std::int64_t count() const { return static_cast<std::int64_t>(sizes_.size()); }
  std::int64_t dim() const { return dim_; }
  const std::vector<std::int32_t>& labels() const { return labels_; }
  std::vector<float> centroids() const;

 private:
  struct Group {
    std::vector<std::int32_t> members;  // ascending
    NearestCodeword nearest;
    float drift = 0.0f;  // how far a member moved in the last update at most
  };
  struct Move {
    std::int64_t row;
    std::int32_t from;
    std::int32_t to;
  };
  struct Scratch;

  void form_groups();
  void prepare_search();
  void move_to(std::int64_t cluster, std::span<const double> target);
  void assign_block(const base::MatrixView& block, std::int64_t begin, std::int64_t end,
                    std::int64_t first, Scratch& scratch);
  void search_group(std::size_t group, std::int64_t row_offset, Scratch& scratch);
  float rounding_slack(std::int64_t row) const;
  float lower_bound(float score, std::int64_t row) const;
  void add_moves(const base::MatrixView& block, std::int64_t first, int threads);

  std::int64_t dim_;
  bool use_bounds_;
  Products products_;
  std::vector<float>
      shift_;  // taken off rows and centroids, so that a common offset costs no digits
  std::vector<float> centroids_;  // shifted
  std::vector<double> sums_;
  std::vector<std::int64_t> sizes_;
  std::vector<float> drifts_;
  float longest_centroid_ = 0.0f;
  std::vector<Group> groups_;
  std::vector<std::int32_t> group_of_;
  bool search_is_current_ = false;

  std::vector<std::int32_t> labels_;  // -1 before the first round
  std::vector<float> norms_;          // of the shifted rows
  std::vector<float> distances_;      // squared
  std::vector<float> bounds_;         // [rows, groups]
  std::vector<std::vector<Move>> moves_;
  std::int64_t changed_ = 0;
  std::int64_t distances_computed_ = 0;
};

}  // namespace emcomp::kmeans
