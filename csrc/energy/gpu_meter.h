// A window over a GPU, followed by a thread of its own while the load runs in another.
#pragma once

#include <sys/prctl.h>

#include <optional>
#include <string>
#include <thread>

#include "cores.h"
#include "energy/counter_window.h"
#include "energy/gpu_reading.h"
#include "energy/nvml.h"
#include "energy/power_window.h"
#include "energy/timeline.h"

namespace jouleforge {

template <typename Window>
class GpuMeter {
 public:
  // Throws NvmlError when there is no driver, or no such device.
  explicit GpuMeter(const NvmlDevice::Which& which, const std::string& library = kNvmlLibrary)
      : device_(which, library), window_(device_, timeline_) {}
  ~GpuMeter() { close(); }
  GpuMeter(const GpuMeter&) = delete;
  GpuMeter& operator=(const GpuMeter&) = delete;
  GpuMeter(GpuMeter&&) = delete;
  GpuMeter& operator=(GpuMeter&&) = delete;

  [[nodiscard]] const NvmlDevice& device() const noexcept { return device_; }

  // Opens a window in the load that goes on from now; one that is open is given up. The thread
  // stays on `cpu`, if there is one.
  void start(const WindowPlan& plan, std::optional<int> cpu = {}) {
    close();
    reading_.reset();
    thread_ = std::jthread([this, plan, cpu](const std::stop_token& stop) {
      if (cpu) keep_thread_on(*cpu);
      // [ns] by which the kernel may put off a wake-up; by default it is 50 us.
      constexpr unsigned long kSlackNs = 1000;
      prctl(PR_SET_TIMERSLACK, kSlackNs, 0, 0, 0);
      reading_ = window_.measure(plan, stop);
    });
  }

  // Called when the load has ended. Throws NvmlError when no window is open; what else goes wrong
  // is the reading's reason.
  [[nodiscard]] GpuReading stop() {
    if (!thread_.joinable()) throw NvmlError("E_NVML: stop() without start()");
    close();
    return *std::move(reading_);
  }

 private:
  void close() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  NvmlDevice device_;
  MonotonicTimeline timeline_;
  Window window_;
  std::optional<GpuReading> reading_;  // the thread's, until it is joined
  std::jthread thread_;
};

// The GPU's own counter, from edge to edge.
using CounterMeter = GpuMeter<CounterWindow>;
// Sampled power, added up: for GPUs without a counter.
using PowerMeter = GpuMeter<PowerWindow>;

}  // namespace jouleforge
