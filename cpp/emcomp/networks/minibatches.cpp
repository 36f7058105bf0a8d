#include "emcomp/networks/minibatches.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace emcomp::networks {

using Eigen::Index;

Minibatches::Minibatches(Index rows, Index batch, LastBatch last, base::PhiloxKey key,
                         std::uint32_t stream)
    : order_(static_cast<std::size_t>(rows)),
      batch_(batch),
      per_epoch_(last == LastBatch::kLeftOut ? rows / batch : (rows + batch - 1) / batch),
      key_(key),
      stream_(stream) {}

Index Minibatches::gather(Index step, const RowMatrix& rows, RowMatrix& batch) {
  const Index in_epoch = step % per_epoch_;
  if (in_epoch == 0) shuffle(step / per_epoch_);
  const Index first = in_epoch * batch_;
  const Index count = std::min(batch_, rows.rows() - first);
  for (Index i = 0; i < count; ++i) {
    batch.row(i) = rows.row(order_[static_cast<std::size_t>(first + i)]);
  }
  return count;
}

// Fisher and Yates, from a fresh order, so that it depends on the epoch alone.
void Minibatches::shuffle(Index epoch) {
  const auto rows = static_cast<Index>(order_.size());
  std::iota(order_.begin(), order_.end(), Index{0});
  for (Index i = rows - 1; i > 0; --i) {
    const Index other = base::random_below(key_, epoch * rows + i, stream_, i + 1);
    std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(other)]);
  }
}

}  // namespace emcomp::networks
