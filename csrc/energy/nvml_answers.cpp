// What a GPU answers to each of NVML's calls that a meter makes.
#include <array>
#include <cstddef>

#include "energy/nvml.h"
#include "energy/nvml_library.h"

namespace jouleforge {
namespace {

constexpr int kFirst = 0;  // temperature of the GPU, violations of the power cap
constexpr int kClockOfSm = 1;
constexpr std::array kFields = {83U, 185U, 186U};  // energy, average power, instant power

std::string worded(const nvml::Library& nvml, int status) {
  if (status == nvml::kSuccess) return "ok";
  return std::to_string(status) + " " + nvml.error_string(status);
}

}  // namespace

std::vector<NvmlAnswer> NvmlDevice::answers() const {
  const auto& nvml = *library_;
  std::vector<NvmlAnswer> found;
  const auto ask = [&](const char* call, auto* function, auto... arguments) {
    found.push_back({call, function == nullptr ? "not in this driver"
                                               : worded(nvml, function(device_, arguments...))});
  };
  unsigned number = 0;
  unsigned other = 0;
  unsigned long long large = 0;
  nvml::Violation violation;
  std::array<nvml::Process, 64> processes{};
  auto count = static_cast<unsigned>(processes.size());
  ask("nvmlDeviceGetTotalEnergyConsumption", nvml.energy, &large);
  ask("nvmlDeviceGetMigMode", nvml.mig, &number, &other);
  ask("nvmlDeviceGetVirtualizationMode", nvml.virtualization, &number);
  ask("nvmlDeviceGetEnforcedPowerLimit", nvml.power_limit, &number);
  ask("nvmlDeviceGetTemperature", nvml.temperature, kFirst, &number);
  ask("nvmlDeviceGetClockInfo", nvml.clock, kClockOfSm, &number);
  ask("nvmlDeviceGetCurrentClocksThrottleReasons", nvml.clock_events, &large);
  ask("nvmlDeviceGetViolationStatus", nvml.violation, kFirst, &violation);
  ask("nvmlDeviceGetComputeRunningProcesses_v3", nvml.processes, &count, processes.data());
  for (const auto field : kFields) {
    found.push_back(
        {"nvmlDeviceGetFieldValues " + std::to_string(field),
         nvml.fields == nullptr ? "not in this driver" : worded(nvml, read_field(field, number))});
  }
  return found;
}

}  // namespace jouleforge
