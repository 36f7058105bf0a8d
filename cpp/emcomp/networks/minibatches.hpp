// Rows in an order drawn anew for each epoch, cut into batches.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "emcomp/base/random.hpp"
#include "emcomp/networks/row_matrix.hpp"

namespace emcomp::networks {

// What becomes of the rows of an epoch that do not fill a batch.
enum class LastBatch : std::uint8_t { kLeftOut, kSmaller };

class Minibatches {
 public:
  Minibatches(Eigen::Index rows, Eigen::Index batch, LastBatch last, base::PhiloxKey key,
              std::uint32_t stream);

  Eigen::Index per_epoch() const { return per_epoch_; }

  // Copies the rows of a step to the first rows of `batch` and returns how many they are. Steps
  // are to be asked for in order.
  Eigen::Index gather(Eigen::Index step, const RowMatrix& rows, RowMatrix& batch);

 private:
  void shuffle(Eigen::Index epoch);

  std::vector<Eigen::Index> order_;
  Eigen::Index batch_;
  Eigen::Index per_epoch_;
  base::PhiloxKey key_;
  std::uint32_t stream_;
};

}  // namespace emcomp::networks
