// Waiting on CLOCK_MONOTONIC.
#include "energy/timeline.h"

#include <chrono>

#include "clock.h"

namespace jouleforge {

std::int64_t MonotonicTimeline::now_ns() const { return jouleforge::now_ns(); }

void MonotonicTimeline::wait_until(std::int64_t at_ns, const std::stop_token& stop) {
  const std::chrono::steady_clock::time_point at{std::chrono::nanoseconds(at_ns)};
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, stop, at, [] { return false; });
}

}  // namespace jouleforge
