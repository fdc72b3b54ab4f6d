// Finding this process among those of a GPU.
#include "energy/gpu_memory.h"

#include <unistd.h>

#include <algorithm>
#include <stop_token>

#include "cores.h"
#include "energy/watch.h"

namespace jouleforge {
namespace {

std::optional<std::uint64_t> own_memory_bytes(const NvmlDevice& device) {
  const auto found = device.compute_processes();
  if (!found) return {};
  const auto own = std::ranges::find(*found, static_cast<unsigned>(getpid()), &GpuProcess::pid);
  if (own != found->end()) return own->memory_bytes;
  // Numbered as outside a container, and alone: it can be no other.
  const auto alone = found->size() == 1 && foreign_pids({found->front().pid}).empty();
  return alone ? found->front().memory_bytes : std::nullopt;
}

}  // namespace

GpuMemoryWatch::GpuMemoryWatch(const NvmlDevice::Which& which, const std::string& library,
                               std::optional<int> cpu, std::chrono::nanoseconds period)
    : device_(which, library) {
  look();
  loaded_ = peak_;
  thread_ = std::jthread([this, cpu, period](const std::stop_token& stop) {
    if (cpu) keep_thread_on(*cpu);
    while (true) {
      timeline_.wait_until(timeline_.now_ns() + period.count(), stop);
      if (stop.stop_requested()) return;
      look();
    }
  });
}

std::optional<std::uint64_t> GpuMemoryWatch::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  look();
  return peak_;
}

void GpuMemoryWatch::look() {
  const auto now = own_memory_bytes(device_);
  const auto known = looks_ == 0 || peak_;
  peak_ = known && now ? std::optional(std::max(peak_.value_or(0), *now)) : std::nullopt;
  ++looks_;
}

}  // namespace jouleforge
