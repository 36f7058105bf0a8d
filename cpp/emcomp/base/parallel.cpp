#include "emcomp/base/parallel.hpp"

#include <omp.h>
#include <pthread.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "emcomp/base/errors.hpp"

namespace emcomp::base {

namespace {

std::atomic<bool> in_forked_child{false};

// GNU OpenMP keeps one pool of threads for each thread that starts parallel regions. After a fork
// the pool's threads do not exist in the child, and the next region would wait for them for ever.
void watch_forks() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; }); });
}

void run_region(int threads, const std::function<void(int)>& work) {
  std::exception_ptr failure;
  std::mutex failure_mutex;
#pragma omp parallel num_threads(threads)
  {
    try {
      // OpenMP may start fewer threads than asked for; every index must run all the same.
      for (int i = omp_get_thread_num(); i < threads; i += omp_get_num_threads()) work(i);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

int default_threads() {
  const char* text = std::getenv("EMCOMP_NUM_THREADS");
  if (text == nullptr || *text == '\0') return omp_get_max_threads();
  int threads = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, threads);
  if (error != std::errc{} || stop != end || threads < 1) {
    throw InputError("EMCOMP_NUM_THREADS='" + std::string(text) +
                     "' is not a positive whole number");
  }
  return threads;
}

void run_threads(int threads, const std::function<void(int)>& work) {
  if (threads <= 1) {
    work(0);
    return;
  }
  watch_forks();
  if (!in_forked_child) {
    run_region(threads, work);
    return;
  }
  // A fresh thread has a pool of its own, which the fork cannot have broken.
  std::exception_ptr failure;
  std::thread([&] {
    try {
      run_region(threads, work);
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

void parallel_blocks(std::int64_t count, std::int64_t block, int threads,
                     const std::function<void(std::int64_t, std::int64_t)>& body) {
  const std::int64_t blocks = (count + block - 1) / block;
  threads = static_cast<int>(std::min<std::int64_t>(threads, blocks));
  std::atomic<std::int64_t> next{0};
  run_threads(std::max(threads, 1), [&](int) {
    for (std::int64_t i = next++; i < blocks; i = next++) {
      body(i * block, std::min((i + 1) * block, count));
    }
  });
}

}  // namespace emcomp::base
