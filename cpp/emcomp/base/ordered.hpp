// Parallel work whose results are merged one after another in index order.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "emcomp/base/parallel.hpp"

namespace emcomp::base {

// For each index of [0, count): work(index, scratch) on any thread, then merge(index, scratch) in
// order and one at a time, so that the outcome does not depend on the number of threads. Each
// thread has one scratch, from make_scratch().
template <class MakeScratch, class Work, class Merge>
void parallel_in_order(std::int64_t count, int threads, MakeScratch make_scratch, Work work,
                       Merge merge) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::condition_variable turn_changed;
  std::int64_t turn = 0;
  bool failed = false;
  threads =
      static_cast<int>(std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(count, 1)));
  run_threads(threads, [&](int) {
    try {
      auto scratch = make_scratch();
      for (std::int64_t i = next++; i < count; i = next++) {
        work(i, scratch);
        std::unique_lock lock(mutex);
        // Indices are handed out in order, so whoever holds an earlier one is at work on it.
        turn_changed.wait(lock, [&] { return turn == i || failed; });
        if (failed) return;
        merge(i, scratch);
        ++turn;
        turn_changed.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failed = true;
      turn_changed.notify_all();
      throw;
    }
  });
}

}  // namespace emcomp::base
