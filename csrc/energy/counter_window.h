// One window over a GPU's energy counter, from edge to edge, within a load that goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

#include "energy/edge_finder.h"
#include "energy/nvml.h"
#include "energy/timeline.h"
#include "energy/watch.h"
#include "energy/window.h"

namespace jouleforge {

struct WindowPlan {
  std::chrono::nanoseconds lasts{0};  // the load goes on for at least so long
  // The window opens after so long, when the tick is known and the power no longer drifts ...
  std::chrono::nanoseconds pre_roll = std::chrono::seconds(2);
  // ... for which it waits no longer than this.
  std::chrono::nanoseconds longest_pre_roll = std::chrono::seconds(10);
  std::chrono::nanoseconds shortest = std::chrono::seconds(2);  // and 20 ticks
};

struct CounterReading : EnergyWindow {
  Tick tick;
  std::int64_t begin_bracket_ns = 0;  // how well the two instants are known
  std::int64_t end_bracket_ns = 0;
  std::size_t reads = 0;  // between the two edges
  // Change of the power when the window was opened; a window is opened in spite of more than 0.01.
  double drift_per_s = 0;
  GpuFacts facts;
};

class CounterWindow {
 public:
  // The period found by one window serves the next.
  CounterWindow(const NvmlDevice& device, Timeline& timeline);

  // Waits for the window and returns its reading, within `plan.lasts`. Whatever goes wrong is the
  // reading's reason; a stop before the end gives E_WINDOW_CUT.
  [[nodiscard]] CounterReading measure(const WindowPlan& plan, const std::stop_token& stop);

 private:
  void settle(const WindowPlan& plan, CounterReading& reading, const std::stop_token& stop);
  void count(const WindowPlan& plan, CounterReading& reading, const std::stop_token& stop);
  void follow(std::int64_t until_ns, Watch& watch, const std::stop_token& stop);

  const NvmlDevice& device_;
  std::string label_;
  Timeline& timeline_;
  EdgeFinder finder_;
  std::int64_t started_ns_ = 0;
};

}  // namespace jouleforge
