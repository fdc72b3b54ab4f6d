// When a counter that stands still between ticks changes: its period, and single edges of it.
//
// Read at any moment, such a counter is wrong by up to a tick at either end of a window. Read where
// it changes, it is exact, and what is left is how well the moment of the change is known.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "energy/timeline.h"

namespace jouleforge {

// What reading the counter until now has shown.
struct Tick {
  double period_ns = 0;  // 0 until it is known
  double p10_ns = 0;     // of the time from edge to edge, as seen while discovering
  double p90_ns = 0;
  double jitter_ns = 0;       // standard deviation of an edge about its place
  double read_ns = 0;         // median cost of a read
  double read_jitter_ns = 0;  // standard deviation of that cost, outliers left out
  std::size_t reads = 0;
  std::size_t missed = 0;  // ticks that did not come where one was waited for
};

// The counter changed after `after_ns`, when the last old value was asked for, and before
// `before_ns`, when the first new one had come.
struct Edge {
  std::int64_t after_ns = 0;
  std::int64_t before_ns = 0;
  std::uint64_t energy_mj = 0;

  [[nodiscard]] std::int64_t width_ns() const { return before_ns - after_ns; }
  [[nodiscard]] std::int64_t at_ns() const { return after_ns + width_ns() / 2; }
};

// Thrown out of a search when a stop is asked for.
struct Stopped {};

class EdgeFinder {
 public:
  // [mJ]; it may throw.
  using Counter = std::function<std::uint64_t()>;

  // `label` names the device in messages.
  EdgeFinder(std::string label, Counter counter, Timeline& timeline);

  // Forgets the last value: the counter may have been read, or reset, by others since.
  void begin();

  // Measures the period. Takes some two seconds and some hundreds of reads, all before a window.
  // Throws NvmlError (E_COUNTER_FROZEN, E_COUNTER_TICKLESS, E_COUNTER_PERTURBED, E_COUNTER_RESET)
  // and Stopped, as every search here does.
  void discover(const std::stop_token& stop);

  // The first edge after `earliest_ns` that is known well enough. Gives up when the next tick would
  // come after `latest_ns`: E_EDGE_WIDE when edges were seen, but none well, E_EDGE_LOST when none,
  // and E_WINDOW_TOO_SHORT when there was no time to look for one.
  Edge find(std::int64_t earliest_ns, std::int64_t latest_ns, const std::stop_token& stop);

  // Reads once, half way between two ticks at or after `earliest_ns`: that the counter still
  // counts.
  void follow(std::int64_t earliest_ns, const std::stop_token& stop);

  // Reads so far apart until then: that a counter does not mind.
  void read_often(std::int64_t until_ns, std::int64_t gap_ns, const std::stop_token& stop);

  // How far ahead edges can be foretold to within the search's own margin.
  [[nodiscard]] double horizon_ns() const;

  // The widest bracket that is accepted.
  [[nodiscard]] std::int64_t widest_ns() const;

  // How long a search for one edge takes at most when no tick is missing.
  [[nodiscard]] std::int64_t search_ns() const;

  [[nodiscard]] const Tick& tick() const { return tick_; }

 private:
  struct Sample {
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = 0;
    std::uint64_t energy_mj = 0;
  };

  Sample read();
  void wait(std::int64_t at_ns, const std::stop_token& stop);
  std::optional<Edge> search(std::int64_t aim_ns, double margin_ns, const std::stop_token& stop);
  [[noreturn]] void blame(std::int64_t gap_ns, const std::stop_token& stop);
  [[noreturn]] void give_up(std::int64_t narrowest_ns) const;
  std::vector<Edge> sweep(const std::stop_token& stop);
  void remember(const Edge& edge);
  [[nodiscard]] std::int64_t next_tick(std::int64_t earliest_ns) const;
  [[nodiscard]] double margin_ns() const;

  std::string label_;
  Counter counter_;
  Timeline& timeline_;
  std::minstd_rand random_;
  Tick tick_;
  std::vector<double> costs_ns_;
  std::optional<Sample> last_;
  std::int64_t unchanged_since_ns_ = 0;
  std::vector<Edge> known_;     // edges that were seen well, in order
  std::int64_t anchor_ns_ = 0;  // the latest edge seen at all: ticks are foretold from it
};

}  // namespace jouleforge
