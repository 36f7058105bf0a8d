#include "emcomp/statistics/neighbours.hpp"

#include <Eigen/Core>
#include <cmath>
#include <vector>

#include "emcomp/base/ordered.hpp"
#include "emcomp/statistics/gram.hpp"

namespace emcomp::statistics {

namespace {

using FloatRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstFloatRowsView = Eigen::Map<const FloatRows>;

void insert(const Neighbours& neighbours, std::int64_t query, float cosine, std::int64_t index) {
  float* cosines = &neighbours.cosines[static_cast<std::size_t>(query * neighbours.count)];
  std::int64_t* indices = &neighbours.index[static_cast<std::size_t>(query * neighbours.count)];
  std::int64_t at = neighbours.count - 1;
  const auto better_than = [&](std::int64_t place) {
    return cosine > cosines[place] || (cosine == cosines[place] && index < indices[place]);
  };
  if (!better_than(at)) return;
  for (; at > 0 && better_than(at - 1); --at) {
    cosines[at] = cosines[at - 1];
    indices[at] = indices[at - 1];
  }
  cosines[at] = cosine;
  indices[at] = index;
}

// Best neighbours within one super-block, and the space to find them.
struct Search {
  Search(std::int64_t queries, std::int64_t count, std::int64_t dim)
      : loaded(base::kBlockRows, dim),
        unit(base::kBlockRows, dim),
        products(queries, base::kBlockRows),
        cosines(static_cast<std::size_t>(queries * count)),
        index(static_cast<std::size_t>(queries * count)),
        found{cosines, index, count} {}

  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> loaded;
  FloatRows unit;
  FloatRows products;
  std::vector<float> cosines;
  std::vector<std::int64_t> index;
  Neighbours found;
  std::exception_ptr failure;
};

// Rows [begin, begin + count) as float32 of unit length, zero rows as zero.
void load_unit_rows(const base::MatrixView& rows, std::span<const double> centre,
                    std::int64_t begin, std::int64_t count, std::int64_t first, const char* name,
                    Search& search) {
  base::load_rows(rows, begin, count, search.loaded.data());
  check_finite(search.loaded.data(), count, rows.dim, first + begin, name);
  for (std::int64_t r = 0; r < count; ++r) {
    auto row = search.loaded.row(r);
    if (!centre.empty()) row -= Eigen::Map<const Eigen::RowVectorXd>(centre.data(), rows.dim);
    const double norm = std::sqrt(row.squaredNorm());
    search.unit.row(r) = (row * (norm > 0 ? 1 / norm : 0.0)).template cast<float>();
  }
}

}  // namespace

void add_neighbours(const base::MatrixView& rows, std::span<const double> centre,
                    std::int64_t first, const char* name, std::span<const float> queries,
                    std::span<const std::int64_t> query_index, int threads, Neighbours neighbours) {
  const auto query_count = static_cast<std::int64_t>(query_index.size());
  const ConstFloatRowsView query_rows(queries.data(), query_count, rows.dim);
  const auto search_block = [&](std::int64_t begin, std::int64_t count, Search& search) {
    load_unit_rows(rows, centre, begin, count, first, name, search);
    search.products.leftCols(count).noalias() = query_rows * search.unit.topRows(count).transpose();
    for (std::int64_t q = 0; q < query_count; ++q) {
      const float* products = search.products.row(q).data();
      const float* worst =
          &search.cosines[static_cast<std::size_t>((q + 1) * neighbours.count - 1)];
      for (std::int64_t r = 0; r < count; ++r) {
        const std::int64_t index = first + begin + r;
        if (products[r] >= *worst && index != query_index[static_cast<std::size_t>(q)]) {
          insert(search.found, q, products[r], index);
        }
      }
    }
  };
  base::parallel_in_order(
      (rows.rows + kSumRows - 1) / kSumRows, threads,
      [&] { return Search(query_count, neighbours.count, rows.dim); },
      [&](std::int64_t block, Search& search) {
        std::fill(search.cosines.begin(), search.cosines.end(), -2.0f);
        std::fill(search.index.begin(), search.index.end(), -1);
        const std::int64_t end = std::min((block + 1) * kSumRows, rows.rows);
        try {
          for (std::int64_t begin = block * kSumRows; begin < end; begin += base::kBlockRows) {
            search_block(begin, std::min(base::kBlockRows, end - begin), search);
          }
        } catch (...) {
          search.failure = std::current_exception();
        }
      },
      [&](std::int64_t, Search& search) {
        if (search.failure) std::rethrow_exception(search.failure);
        for (std::int64_t q = 0; q < query_count; ++q) {
          for (std::int64_t i = q * neighbours.count; i < (q + 1) * neighbours.count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            if (search.index[at] >= 0) insert(neighbours, q, search.cosines[at], search.index[at]);
          }
        }
      });
}

void copy_checked_rows(const base::MatrixView& rows, std::span<const std::int64_t> index,
                       std::int64_t first, const char* name, double* out) {
  for (const std::int64_t row : index) {
    base::load_rows(rows, row, 1, out);
    check_finite(out, 1, rows.dim, first + row, name);
    out += rows.dim;
  }
}

}  // namespace emcomp::statistics
