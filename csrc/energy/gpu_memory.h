// How much of a GPU's memory this process holds, and the most it held while something ran.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "energy/nvml.h"
#include "energy/timeline.h"

namespace jouleforge {

// Looks when it is made, once a period in a thread of its own, and when it is stopped.
class GpuMemoryWatch {
 public:
  // The thread stays on `cpu`, if there is one. Throws NvmlError when there is no driver, or no
  // such device.
  GpuMemoryWatch(const NvmlDevice::Which& which, const std::string& library, std::optional<int> cpu,
                 std::chrono::nanoseconds period);
  ~GpuMemoryWatch() = default;  // ends the thread
  GpuMemoryWatch(const GpuMemoryWatch&) = delete;
  GpuMemoryWatch& operator=(const GpuMemoryWatch&) = delete;
  GpuMemoryWatch(GpuMemoryWatch&&) = delete;
  GpuMemoryWatch& operator=(GpuMemoryWatch&&) = delete;

  // [bytes] when it was made. Absent where the driver does not tell, as in many containers.
  [[nodiscard]] std::optional<std::uint64_t> loaded() const noexcept { return loaded_; }

  // Ends the thread, and returns the most that any look showed [bytes]; absent if one did not tell.
  [[nodiscard]] std::optional<std::uint64_t> stop();

  [[nodiscard]] std::size_t looks() const noexcept { return looks_; }

 private:
  void look();

  NvmlDevice device_;
  MonotonicTimeline timeline_;
  std::optional<std::uint64_t> loaded_;
  std::optional<std::uint64_t> peak_;  // the thread's, until it is joined
  std::atomic<std::size_t> looks_{0};
  std::jthread thread_;  // last: it uses what is above
};

}  // namespace jouleforge
