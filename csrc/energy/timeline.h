// The clock a meter reads and sleeps by; a test may put its own in its place.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>

namespace jouleforge {

class Timeline {
 public:
  Timeline() = default;
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;
  Timeline(Timeline&&) = delete;
  Timeline& operator=(Timeline&&) = delete;
  virtual ~Timeline() = default;

  [[nodiscard]] virtual std::int64_t now_ns() const = 0;

  // Returns at `at_ns`, or later, or as soon as a stop is asked for.
  virtual void wait_until(std::int64_t at_ns, const std::stop_token& stop) = 0;
};

// CLOCK_MONOTONIC. One thread waits on it at a time.
class MonotonicTimeline final : public Timeline {
 public:
  [[nodiscard]] std::int64_t now_ns() const override;
  void wait_until(std::int64_t at_ns, const std::stop_token& stop) override;

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
};

}  // namespace jouleforge
