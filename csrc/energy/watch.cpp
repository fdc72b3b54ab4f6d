// Judging what NVML tells about clocks, heat and processes.
#include "energy/watch.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace jouleforge {
namespace {

namespace fs = std::filesystem;

// nvml.h: bits of the reasons for low clocks.
constexpr std::uint64_t kPowerCap = 0x4;
constexpr std::uint64_t kHardwareSlowdown = 0x8;
constexpr std::uint64_t kSoftwareThermal = 0x20;
constexpr std::uint64_t kHardwareThermal = 0x40;
constexpr std::uint64_t kPowerBrake = 0x80;
constexpr auto kThrottled = kHardwareSlowdown | kSoftwareThermal | kHardwareThermal | kPowerBrake;

constexpr unsigned kMostDriftC = 3;

// Twenty seconds, looked at once in each, of a load that repeats itself.
constexpr std::size_t kFewestAverages = 20;
constexpr double kMostContradiction = 0.05;

// Whether this process sees the kernel's own process numbers (PROC_PID_INIT_INO).
bool in_first_pid_namespace() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/ns/pid", ignored) == "pid:[4026531836]";
}

// How far a counter advanced between the first and the last look that show it.
std::optional<std::uint64_t> advance(const std::vector<GpuState>& seen,
                                     std::optional<std::uint64_t> GpuState::* counter) {
  if (seen.empty() || !(seen.front().*counter) || !(seen.back().*counter)) return {};
  return *(seen.back().*counter) - *(seen.front().*counter);
}

std::string joined(const std::vector<unsigned>& numbers) {
  std::string text;
  for (const auto number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

}  // namespace

std::vector<unsigned> foreign_pids(const std::vector<unsigned>& pids) {
  std::vector<unsigned> others;
  const auto own = static_cast<unsigned>(getpid());
  std::ranges::copy_if(pids, std::back_inserter(others), [own](auto pid) { return pid != own; });
  if (others.size() == pids.size() && !in_first_pid_namespace()) {
    std::error_code ignored;
    const auto hidden = std::ranges::find_if(others, [&ignored](auto pid) {
      return !fs::exists("/proc/" + std::to_string(pid), ignored);
    });
    if (hidden != others.end()) others.erase(hidden);
  }
  return others;
}

std::string Watch::stranger() const {
  if (device_.mig_enabled()) {
    return "E_MIG: " + label_ + " is cut into MIG instances, and its counter covers all of them";
  }
  if (device_.is_vgpu()) {
    return "E_VGPU: " + label_ + " is a share of a GPU, and its counter covers the whole";
  }
  const auto others = foreign_pids(device_.compute_pids().value_or(std::vector<unsigned>{}));
  if (others.empty()) return {};
  return "E_GPU_SHARED: other processes compute on " + label_ + " (" + joined(others) +
         "), and its counter covers them too. End them, or choose another GPU";
}

void Watch::look() {
  seen_.push_back(device_.state());
  if (shared_.empty()) shared_ = stranger();
}

std::string Watch::throttling() const {
  const auto low = [](const GpuState& state) {
    return (state.clock_events.value_or(0) & kThrottled) != 0;
  };
  const auto times = std::ranges::count_if(seen_, low);
  const auto violated_ns = advance(seen_, &GpuState::thermal_violation_ns).value_or(0);
  if (times == 0 && violated_ns == 0) return {};
  return "E_THROTTLED: " + label_ + " was slowed down for heat or by hardware at " +
         std::to_string(times) + " of " + std::to_string(seen_.size()) + " looks and for " +
         std::to_string(violated_ns / 1'000'000) + " ms. Cool it, or lower its power limit";
}

std::string Watch::doubt(bool idle) const {
  if (!shared_.empty()) return shared_;
  if (auto slowed = throttling(); !slowed.empty()) return slowed;
  const auto found = facts();
  if (idle || !found.temperature_begin_c || !found.temperature_end_c) return {};
  const auto [low, high] = std::minmax(*found.temperature_begin_c, *found.temperature_end_c);
  if (high - low <= kMostDriftC) return {};
  return "E_TEMPERATURE_DRIFT: " + label_ + " went from " +
         std::to_string(*found.temperature_begin_c) + " to " +
         std::to_string(*found.temperature_end_c) + " C within the window (limit " +
         std::to_string(kMostDriftC) + "). Warm it up for longer";
}

std::string Watch::contradiction(double counter_w) const {
  const auto found = facts();
  if (!found.average_power_w || found.averages < kFewestAverages) return {};
  const auto off = counter_w / *found.average_power_w - 1;
  if (std::abs(off) <= kMostContradiction) return {};
  return "E_COUNTER_INCONSISTENT: the counter of " + label_ + " gives " +
         std::to_string(counter_w) + " W, and its averages over a second " +
         std::to_string(*found.average_power_w) + " W (" + std::to_string(100 * off) +
         " %). One of them is wrong on this driver";
}

GpuFacts Watch::facts() const {
  GpuFacts facts;
  if (seen_.empty()) return facts;
  facts.power_limit_mw = device_.power_limit_mw();
  facts.temperature_begin_c = seen_.front().temperature_c;
  facts.temperature_end_c = seen_.back().temperature_c;
  facts.thermal_violation_ns = advance(seen_, &GpuState::thermal_violation_ns);
  facts.power_violation_ns = advance(seen_, &GpuState::power_violation_ns);
  double power_w = 0;
  // The first one is of the second before the window.
  for (std::size_t i = 1; i < seen_.size(); ++i) {
    if (!seen_[i].average_power_mw) continue;
    power_w += *seen_[i].average_power_mw * 1e-3;
    ++facts.averages;
  }
  if (facts.averages > 0) facts.average_power_w = power_w / static_cast<double>(facts.averages);
  std::vector<unsigned> clocks;
  for (const auto& state : seen_) {
    if (state.sm_clock_mhz) clocks.push_back(*state.sm_clock_mhz);
    if (state.clock_events) {
      facts.clock_events = facts.clock_events.value_or(0) | *state.clock_events;
    }
  }
  if (!clocks.empty()) {
    std::ranges::sort(clocks);
    facts.sm_clock_min_mhz = clocks.front();
    facts.sm_clock_median_mhz = clocks[clocks.size() / 2];
  }
  facts.power_capped =
      (facts.clock_events.value_or(0) & kPowerCap) != 0 || facts.power_violation_ns.value_or(0) > 0;
  return facts;
}

}  // namespace jouleforge
