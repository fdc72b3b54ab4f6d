// Whether a GPU was left alone and at its clocks while its energy was counted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "energy/nvml.h"

namespace jouleforge {

// What one window showed beside its energy. A field is absent where the GPU does not tell.
struct GpuFacts {
  std::optional<unsigned> power_limit_mw;
  std::optional<unsigned> temperature_begin_c;
  std::optional<unsigned> temperature_end_c;
  std::optional<unsigned> sm_clock_min_mhz;
  std::optional<unsigned> sm_clock_median_mhz;
  std::optional<std::uint64_t> clock_events;  // of all moments looked at, together
  std::optional<std::uint64_t> thermal_violation_ns;
  std::optional<std::uint64_t> power_violation_ns;
  // Mean of the averages over a second that NVML gives beside its counter: what the counter's own
  // power is compared with, and nothing else.
  std::optional<double> average_power_w;
  std::size_t averages = 0;  // how many those were
  // The power cap held clocks down: the energy is then that of the cap as much as of the engine.
  bool power_capped = false;
};

class Watch {
 public:
  // `label` names the device in messages.
  Watch(const NvmlDevice& device, std::string label) : device_(device), label_(std::move(label)) {}

  // Why the counter is not of this process alone, whatever the window: E_MIG, E_VGPU,
  // E_GPU_SHARED; else empty.
  [[nodiscard]] std::string stranger() const;

  void look();  // at the window's begin and end, and once a second in between

  // Why the window cannot stand: E_THROTTLED, E_TEMPERATURE_DRIFT, E_GPU_SHARED; else empty. A GPU
  // that has nothing to do (`idle`) may cool down.
  [[nodiscard]] std::string doubt(bool idle) const;

  // Why a counter that gave this power [W] cannot be right: E_COUNTER_INCONSISTENT; else empty. It
  // takes twenty averages to tell.
  [[nodiscard]] std::string contradiction(double counter_w) const;

  [[nodiscard]] GpuFacts facts() const;

 private:
  [[nodiscard]] std::string throttling() const;

  const NvmlDevice& device_;
  std::string label_;
  std::vector<GpuState> seen_;
  std::string shared_;  // what the first look at a foreign process said
};

// Those of `pids` that are neither this process nor can be it. In a container the driver may number
// this process as its host does: one that /proc does not show is then taken for it, once.
[[nodiscard]] std::vector<unsigned> foreign_pids(const std::vector<unsigned>& pids);

}  // namespace jouleforge
