// The one clock of the harness.
#pragma once

#include <chrono>
#include <cstdint>

namespace jouleforge {

// [ns] CLOCK_MONOTONIC.
[[nodiscard]] inline std::int64_t now_ns() noexcept {
  using std::chrono::duration_cast, std::chrono::nanoseconds, std::chrono::steady_clock;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace jouleforge
