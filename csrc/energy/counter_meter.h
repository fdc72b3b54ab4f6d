// A GPU's energy counter, followed by a thread of its own while the load runs in another.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "energy/counter_window.h"
#include "energy/nvml.h"
#include "energy/timeline.h"

namespace jouleforge {

class CounterMeter {
 public:
  // Throws NvmlError when there is no driver, or no such device.
  explicit CounterMeter(const NvmlDevice::Which& which, const std::string& library = kNvmlLibrary);
  ~CounterMeter();
  CounterMeter(const CounterMeter&) = delete;
  CounterMeter& operator=(const CounterMeter&) = delete;

  [[nodiscard]] const NvmlDevice& device() const noexcept { return device_; }

  // Opens a window in the load that goes on from now; one that is open is given up. The thread
  // stays on `cpu`, if there is one.
  void start(const WindowPlan& plan, std::optional<int> cpu = {});

  // Called when the load has ended. Throws NvmlError when no window is open; what else goes wrong
  // is the reading's reason.
  [[nodiscard]] CounterReading stop();

 private:
  void close();

  NvmlDevice device_;
  MonotonicTimeline timeline_;
  CounterWindow window_;
  std::optional<CounterReading> reading_;  // the thread's, until it is joined
  std::jthread thread_;
};

}  // namespace jouleforge
