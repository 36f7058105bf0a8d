// Running a function over blocks of an index range with OpenMP threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace emcomp::base {

// Rows handled together: small enough for their float64 copy to stay in the second-level cache,
// and the unit in which sums are merged, so that results do not depend on the number of threads.
inline constexpr std::int64_t kBlockRows = 256;

// Threads to use where the caller names none: the environment's EMCOMP_NUM_THREADS, else OpenMP's
// own default. Throws InputError if the variable is not a positive whole number.
int default_threads();

// Calls work(thread) once for each of `threads` threads and returns when all have. The first
// exception thrown inside is thrown again here. Works in a child forked after threads were used.
void run_threads(int threads, const std::function<void(int)>& work);

// Calls body(block_begin, block_end) for blocks of `block` indices of [0, count), in any order.
// Blocks are handed out one after another, so uneven blocks keep all threads busy.
void parallel_blocks(std::int64_t count, std::int64_t block, int threads,
                     const std::function<void(std::int64_t, std::int64_t)>& body);

// Threads worth starting for `entries` table entries: small work stays on the caller's thread.
inline int threads_for(std::int64_t entries, int threads) {
  constexpr std::int64_t kEntriesPerThread = 1 << 15;
  return static_cast<int>(
      std::clamp<std::int64_t>(entries / kEntriesPerThread, 1, std::max(threads, 1)));
}

}  // namespace emcomp::base
