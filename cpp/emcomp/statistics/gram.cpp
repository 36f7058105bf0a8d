#include "emcomp/statistics/gram.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <string>
#include <tuple>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/ordered.hpp"
#include "emcomp/statistics/panels.hpp"

namespace emcomp::statistics {

namespace {

bool is_finite(double value) {
  constexpr std::uint64_t kExponent = 0x7ff0000000000000u;
  return (std::bit_cast<std::uint64_t>(value) & kExponent) != kExponent;
}

bool all_finite(const double* values, std::int64_t count) {
  std::uint64_t bad = 0;
  for (std::int64_t i = 0; i < count; ++i) bad |= is_finite(values[i]) ? 0u : 1u;
  return bad == 0;
}

// One block of a table as float64, before and after its map.
class ProjectedBlock {
 public:
  explicit ProjectedBlock(const ProjectedRows& table)
      : table_(&table),
        loaded_(base::kBlockRows, table.rows.dim),
        mapped_(table.map.empty() ? 0 : base::kBlockRows, table.map.empty() ? 0 : table.width) {}

  // Rows [begin, begin + count) of the view; `first` is its first row's index in the table.
  void load(std::int64_t begin, std::int64_t count, std::int64_t first) {
    base::load_rows(table_->rows, begin, count, loaded_.data());
    check_finite(loaded_.data(), count, table_->rows.dim, first + begin, table_->name);
    auto block = loaded_.topRows(count);
    if (!table_->centre.empty()) {
      block.rowwise() -= Eigen::Map<const Eigen::RowVectorXd>(table_->centre.data(), block.cols());
    }
    if (!table_->map.empty()) {
      const ConstRowsView map(table_->map.data(), table_->rows.dim, table_->width);
      mapped_.topRows(count).noalias() = block * map;
    }
  }

  RowsView rows(std::int64_t count) {
    Rows& source = table_->map.empty() ? loaded_ : mapped_;
    return {source.data(), count, source.cols()};
  }

 private:
  const ProjectedRows* table_;
  Rows loaded_;
  Rows mapped_;
};

void add_distances(const RowsView& a, const RowsView& b, Distances& sums) {
  for (Eigen::Index r = 0; r < a.rows(); ++r) {
    const double squared = (a.row(r) - b.row(r)).squaredNorm();
    const double a_norm = std::sqrt(a.row(r).squaredNorm());
    const double b_norm = std::sqrt(b.row(r).squaredNorm());
    sums.squared_error += squared;
    sums.euclidean += std::sqrt(squared);
    if (a_norm > 0 && b_norm > 0) {
      // 1 - cos = (|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|): no cancellation between equal rows.
      const double stretch = a_norm - b_norm;
      sums.cosine += std::max(squared - stretch * stretch, 0.0) / (2 * a_norm * b_norm);
    } else if (squared > 0) {
      sums.cosine += 1;
    }
  }
}

// What one thread holds while it sums kSumRows rows.
struct PartialSums {
  ProductSum gram;
  ProductSum cross;
  Distances distances;
  std::exception_ptr failure;

  void clear() {
    gram.clear();
    cross.clear();
    distances = {};
    failure = nullptr;
  }
};

// Sums rows in super-blocks, each by one thread in row order, and merges them in order. `sum` adds
// rows [begin, begin + count) to the partial sums; what it throws is thrown again for the first
// super-block that failed, whichever thread came first.
template <class MakeSum>
void sum_in_order(std::int64_t rows, int threads, MakeSum make_sum, std::span<double> gram,
                  std::int64_t width, std::span<double> cross, Distances* distances) {
  using Sum = decltype(make_sum());
  struct Scratch {
    Sum sum;
    PartialSums partial;
  };
  const auto cross_rows = static_cast<Eigen::Index>(cross.size()) / width;
  base::parallel_in_order(
      (rows + kSumRows - 1) / kSumRows, threads,
      [&] {
        return Scratch{make_sum(),
                       {ProductSum(width, width), ProductSum(cross_rows, width), {}, {}}};
      },
      [&](std::int64_t index, Scratch& scratch) {
        scratch.partial.clear();
        const std::int64_t end = std::min((index + 1) * kSumRows, rows);
        try {
          for (std::int64_t begin = index * kSumRows; begin < end; begin += base::kBlockRows) {
            scratch.sum(begin, std::min(base::kBlockRows, end - begin), scratch.partial);
          }
        } catch (...) {
          scratch.partial.failure = std::current_exception();
        }
      },
      [&](std::int64_t, Scratch& scratch) {
        if (scratch.partial.failure) std::rethrow_exception(scratch.partial.failure);
        RowsView(gram.data(), width, width) += scratch.partial.gram.values();
        if (cross_rows > 0)
          RowsView(cross.data(), cross_rows, width) += scratch.partial.cross.values();
        if (distances != nullptr) {
          distances->squared_error += scratch.partial.distances.squared_error;
          distances->euclidean += scratch.partial.distances.euclidean;
          distances->cosine += scratch.partial.distances.cosine;
        }
      });
}

}  // namespace

void check_finite(const double* rows, std::int64_t count, std::int64_t dim, std::int64_t first,
                  const char* name) {
  if (all_finite(rows, count * dim)) return;
  std::int64_t at = 0;
  while (is_finite(rows[at])) ++at;
  throw InputError(std::string(name) + ": the entry at row " + std::to_string(first + at / dim) +
                   ", column " + std::to_string(at % dim) + " is " +
                   (std::isnan(rows[at]) ? "not a number" : "infinite") +
                   "; every entry must be finite");
}

void add_gram(const ProjectedRows& b, std::int64_t first, int threads, std::span<double> gram) {
  const auto make_sum = [&] {
    return [&, block = ProjectedBlock(b), panels = Panels(b.width, base::kBlockRows)](
               std::int64_t begin, std::int64_t count, PartialSums& partial) mutable {
      block.load(begin, count, first);
      panels.pack(block.rows(count));
      partial.gram.add(panels, panels, true);
    };
  };
  sum_in_order(b.rows.rows, threads, make_sum, gram, b.width, {}, nullptr);
}

void add_pair(const ProjectedRows& a, const ProjectedRows& b, std::span<const double> projection,
              std::int64_t first, int threads, std::span<double> gram, std::span<double> cross,
              Distances* distances) {
  const auto make_sum = [&] {
    return [&, a_block = ProjectedBlock(a), b_block = ProjectedBlock(b),
            a_panels = Panels(a.width, base::kBlockRows),
            b_panels = Panels(b.width, base::kBlockRows)](std::int64_t begin, std::int64_t count,
                                                          PartialSums& partial) mutable {
      a_block.load(begin, count, first);
      b_block.load(begin, count, first);
      const RowsView a_rows = a_block.rows(count);
      RowsView b_rows = b_block.rows(count);
      if (!projection.empty()) {
        b_rows.noalias() -= a_rows * ConstRowsView(projection.data(), a.width, b.width);
      }
      a_panels.pack(a_rows);
      b_panels.pack(b_rows);
      partial.gram.add(b_panels, b_panels, true);
      partial.cross.add(a_panels, b_panels, false);
      if (distances != nullptr) add_distances(a_rows, b_rows, partial.distances);
    };
  };
  sum_in_order(b.rows.rows, threads, make_sum, gram, b.width, cross, distances);
}

void add_columns(const base::MatrixView& rows, std::int64_t first, const char* name, int threads,
                 std::span<double> sums) {
  const ProjectedRows table{rows, {}, {}, rows.dim, name};
  const auto make_scratch = [&] {
    return std::tuple(ProjectedBlock(table), Eigen::RowVectorXd(rows.dim), std::exception_ptr());
  };
  using Scratch = decltype(make_scratch());
  base::parallel_in_order((rows.rows + kSumRows - 1) / kSumRows, threads, make_scratch,
                          [&](std::int64_t index, Scratch& scratch) {
                            auto& [block, partial, failure] = scratch;
                            partial.setZero();
                            const std::int64_t end = std::min((index + 1) * kSumRows, rows.rows);
                            try {
                              for (std::int64_t begin = index * kSumRows; begin < end;
                                   begin += base::kBlockRows) {
                                const std::int64_t count = std::min(base::kBlockRows, end - begin);
                                block.load(begin, count, first);
                                partial += block.rows(count).colwise().sum();
                              }
                            } catch (...) {
                              failure = std::current_exception();
                            }
                          },
                          [&](std::int64_t, Scratch& scratch) {
                            auto& [block, partial, failure] = scratch;
                            if (failure) std::rethrow_exception(failure);
                            Eigen::Map<Eigen::RowVectorXd>(sums.data(), rows.dim) += partial;
                          });
}

}  // namespace emcomp::statistics
