// A GPU whose power over time is known exactly, behind an energy counter as real ones have: one
// that stands still between ticks, lags behind, jitters, and skips a tick now and then.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fake {

// Power runs straight from `begin_w` at `at_ns` to `end_w` at the next piece's begin.
struct Piece {
  std::int64_t at_ns;
  double begin_w;
  double end_w;
};

class Load {
 public:
  Load() : Load({{0, 100, 100}}) {}

  // The first piece's power holds before it, the last one's begin after it.
  explicit Load(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {
    joules_.assign(pieces_.size(), 0);
    for (std::size_t i = 1; i < pieces_.size(); ++i) {
      joules_[i] = joules_[i - 1] + within(i - 1, pieces_[i].at_ns);
    }
  }

  [[nodiscard]] double joules(std::int64_t from_ns, std::int64_t to_ns) const {
    return until(to_ns) - until(from_ns);
  }

 private:
  [[nodiscard]] double within(std::size_t piece, std::int64_t at_ns) const {
    const auto& one = pieces_[piece];
    const auto passed_s = static_cast<double>(at_ns - one.at_ns) * 1e-9;
    if (piece + 1 == pieces_.size()) return one.begin_w * passed_s;
    const auto whole_s = static_cast<double>(pieces_[piece + 1].at_ns - one.at_ns) * 1e-9;
    const auto slope = whole_s > 0 ? (one.end_w - one.begin_w) / whole_s : 0;
    return (one.begin_w + slope * passed_s / 2) * passed_s;
  }

  [[nodiscard]] double until(std::int64_t at_ns) const {
    if (at_ns <= pieces_.front().at_ns) {
      return pieces_.front().begin_w * static_cast<double>(at_ns - pieces_.front().at_ns) * 1e-9;
    }
    const auto after = std::ranges::upper_bound(pieces_, at_ns, {}, &Piece::at_ns);
    const auto piece = static_cast<std::size_t>(after - pieces_.begin()) - 1;
    return joules_[piece] + within(piece, at_ns);
  }

  std::vector<Piece> pieces_;
  std::vector<double> joules_;  // from the first piece's begin to each piece's
};

struct Sensor {
  std::int64_t period_ns = 100'000'000;
  std::int64_t phase_ns = 0;
  std::int64_t lag_ns = 0;     // a tick shows the energy until so long before
  std::int64_t jitter_ns = 0;  // a tick comes up to so much early or late
  // Whether a tick that comes late still shows the energy until its proper place.
  bool late_to_show = false;
  double missing = 0;         // share of ticks that do not come
  std::int64_t looks_ns = 0;  // > 0: only so long before each tick is looked at (part-time)
};

// The counter [J] and its ticks, without faults.
class Counter {
 public:
  Counter(const Load* load, Sensor sensor) : load_(load), sensor_(sensor) {}

  [[nodiscard]] double joules(std::int64_t at_ns) {
    auto tick = (at_ns - sensor_.phase_ns) / sensor_.period_ns + 1;
    while (tick > 0 && (comes_ns(tick) > at_ns || skipped(tick))) --tick;
    return sensor_.looks_ns > 0 ? seen(tick) : load_->joules(0, shown_ns(tick));
  }

  // What the counter counts between two instants if it shows everything: a lag late.
  [[nodiscard]] double truth(std::int64_t from_ns, std::int64_t to_ns) const {
    return load_->joules(from_ns - sensor_.lag_ns, to_ns - sensor_.lag_ns);
  }

  // The mean power over this long until the latest tick [W].
  [[nodiscard]] double watts(std::int64_t at_ns, std::int64_t mean_ns) const {
    auto tick = (at_ns - sensor_.phase_ns) / sensor_.period_ns + 1;
    while (tick > 0 && comes_ns(tick) > at_ns) --tick;
    const auto until_ns = shown_ns(tick);
    return load_->joules(until_ns - mean_ns, until_ns) / (static_cast<double>(mean_ns) * 1e-9);
  }

 private:
  // In [0, 1), the same whenever asked.
  [[nodiscard]] static double chance(std::int64_t tick, std::uint64_t kind) {
    auto bits = (static_cast<std::uint64_t>(tick) + kind) * 0x9E3779B97F4A7C15U;
    bits = (bits ^ (bits >> 30U)) * 0xBF58476D1CE4E5B9U;
    bits = (bits ^ (bits >> 27U)) * 0x94D049BB133111EBU;
    return static_cast<double>((bits ^ (bits >> 31U)) >> 11U) * 0x1.0p-53;
  }
  [[nodiscard]] std::int64_t place_ns(std::int64_t tick) const {
    return sensor_.phase_ns + tick * sensor_.period_ns;
  }
  [[nodiscard]] std::int64_t comes_ns(std::int64_t tick) const {
    const auto off = (2 * chance(tick, 1U << 20U) - 1) * static_cast<double>(sensor_.jitter_ns);
    return place_ns(tick) + static_cast<std::int64_t>(off);
  }
  [[nodiscard]] std::int64_t shown_ns(std::int64_t tick) const {
    return (sensor_.late_to_show ? place_ns(tick) : comes_ns(tick)) - sensor_.lag_ns;
  }
  [[nodiscard]] bool skipped(std::int64_t tick) const {
    return chance(tick, 1U << 30U) < sensor_.missing;
  }
  [[nodiscard]] double seen(std::int64_t tick) {
    if (tick < ticks_) ticks_ = 0, part_time_j_ = 0;
    for (; ticks_ < tick; ++ticks_) {
      const auto until_ns = shown_ns(ticks_ + 1);
      const auto share =
          static_cast<double>(sensor_.period_ns) / static_cast<double>(sensor_.looks_ns);
      part_time_j_ += load_->joules(until_ns - sensor_.looks_ns, until_ns) * share;
    }
    return part_time_j_;
  }

  const Load* load_;
  Sensor sensor_;
  std::int64_t ticks_ = 0;  // that part_time_j_ is the sum of
  double part_time_j_ = 0;
};

}  // namespace fake
