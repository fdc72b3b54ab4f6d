// A clock that only moves when somebody waits or reads, on a machine that is as busy as a test
// likes: minutes of metering pass in milliseconds, and the same way each time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <stop_token>

#include "energy/timeline.h"

namespace jouleforge::testing {

class VirtualTime final : public Timeline {
 public:
  // A share of the waits, and a tenth of that of the reads, is held up for some milliseconds by
  // other threads. One at a time may exist.
  explicit VirtualTime(double held_up = 0, unsigned seed = 1) : random_(seed), held_up_(held_up) {
    self_ = this;
  }

  [[nodiscard]] std::int64_t now_ns() const override { return now_; }

  void wait_until(std::int64_t at_ns, const std::stop_token&) override {
    pass_until(std::max(now_, at_ns));
    pass_until(now_ + late_ns(held_up_));
  }

  // Calls back once, when that time has come.
  void at(std::int64_t at_ns, std::function<void()> call) {
    calls_.emplace(at_ns, std::move(call));
  }

  // From that time on, every wait is held up for at least so long.
  void hold_up_from(std::int64_t at_ns, std::int64_t least_ns) {
    at(at_ns, [this, least_ns] {
      held_up_ = 1;
      least_pause_ns_ = least_ns;
    });
  }
  // The thread is stopped once, for so long.
  void stand_still(std::int64_t at_ns, std::int64_t for_ns) {
    at(at_ns, [this, for_ns] { now_ += for_ns; });
  }

  // For the fake library.
  static std::int64_t now() { return self_->now_; }
  static void spend(std::int64_t ns) {
    auto& self = *self_;
    const auto varies = std::uniform_real_distribution<double>(0.9, 1.2)(self.random_);
    const auto cost = static_cast<std::int64_t>(static_cast<double>(ns) * varies) + 1'000;
    const auto held = self.chance() < self.held_up_ / 10;
    self.pass_until(self.now_ + cost + (held ? self.pause_ns() : 0));
  }

 private:
  double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  std::int64_t pause_ns() {
    const auto pause = std::exponential_distribution<double>(1 / 4e6)(random_);
    return least_pause_ns_ + static_cast<std::int64_t>(std::min(pause, 30e6));
  }
  std::int64_t late_ns(double share) {
    const auto usual = static_cast<std::int64_t>(20'000 + 80'000 * chance());
    return usual + (chance() < share ? pause_ns() : 0);
  }
  void pass_until(std::int64_t at_ns) {
    while (!calls_.empty() && calls_.begin()->first <= at_ns) {
      now_ = std::max(now_, calls_.begin()->first);
      const auto call = std::move(calls_.begin()->second);
      calls_.erase(calls_.begin());
      call();
    }
    now_ = std::max(now_, at_ns);
  }

  static inline VirtualTime* self_ = nullptr;
  std::int64_t now_ = 1'000'000'000;
  std::minstd_rand random_;
  double held_up_;
  std::int64_t least_pause_ns_ = 0;
  std::multimap<std::int64_t, std::function<void()>> calls_;
};

}  // namespace jouleforge::testing
