// One window over a GPU's sampled power: the fallback where no counter can be read.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "energy/gpu_reading.h"
#include "energy/nvml.h"
#include "energy/timeline.h"

namespace jouleforge {

// Adds up the power of the moment (field 186) over a stretch that lies within a steady load. What
// the sensor does between its looks, nobody sees: its uncertainty is that of the mean of ten parts.
class PowerWindow {
 public:
  PowerWindow(const NvmlDevice& device, Timeline& timeline);

  // As CounterWindow::measure.
  [[nodiscard]] GpuReading measure(const WindowPlan& plan, const std::stop_token& stop);

 private:
  void integrate(const WindowPlan& plan, GpuReading& reading, const std::stop_token& stop);

  const NvmlDevice& device_;
  std::string label_;
  Timeline& timeline_;
};

}  // namespace jouleforge
