// What a window over a GPU is asked for, and what it gives.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "energy/edge_finder.h"
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
  // The counter is fed by a sensor that looks a part of the time only: it needs half a minute.
  bool part_time = false;
  // Nothing runs within it: the GPU may then cool down, which is no reason to refuse the window.
  bool idle = false;
  // For the examination of a counter: an edge each time so long has passed, and reads so far apart
  // in between; 0 is no more than a window needs.
  std::chrono::nanoseconds edge_every{0};
  std::chrono::nanoseconds read_every{0};
};

struct GpuReading : EnergyWindow {
  Tick tick;                          // of a counter; its period is 0 where none was read
  std::int64_t begin_bracket_ns = 0;  // how well the two instants are known
  std::int64_t end_bracket_ns = 0;
  std::size_t reads = 0;  // within the window
  // All that were seen from its begin to its end, whatever came of the window.
  std::vector<Edge> edges;
  // Change of the power when the window was opened; a window is opened in spite of more than 0.01.
  double drift_per_s = 0;
  GpuFacts facts;
};

}  // namespace jouleforge
