// One window over a GPU's energy counter, from edge to edge, within a load that goes on.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "energy/edge_finder.h"
#include "energy/gpu_reading.h"
#include "energy/nvml.h"
#include "energy/timeline.h"
#include "energy/watch.h"

namespace jouleforge {

class CounterWindow {
 public:
  // The period found by one window serves the next.
  CounterWindow(const NvmlDevice& device, Timeline& timeline);

  // Waits for the window and returns its reading, within `plan.lasts`. Whatever goes wrong is the
  // reading's reason; a stop before the end gives E_WINDOW_CUT.
  [[nodiscard]] GpuReading measure(const WindowPlan& plan, const std::stop_token& stop);

 private:
  void settle(const WindowPlan& plan, GpuReading& reading, const std::stop_token& stop);
  void count(const WindowPlan& plan, GpuReading& reading, const std::stop_token& stop);
  void follow(const WindowPlan& plan, std::int64_t until_ns, Watch& watch, std::vector<Edge>& edges,
              const std::stop_token& stop);
  void judge(bool idle, const Edge& first, const Edge& last, const Watch& watch,
             GpuReading& reading) const;

  const NvmlDevice& device_;
  std::string label_;
  Timeline& timeline_;
  EdgeFinder finder_;
  std::int64_t started_ns_ = 0;
};

}  // namespace jouleforge
