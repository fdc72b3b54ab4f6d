// What NVML's answers mean.
#include "energy/nvml.h"

#include <algorithm>
#include <array>

#include "energy/nvml_library.h"

namespace jouleforge {
namespace {

// nvml.h: NVML_DEVICE_UUID_V2_BUFFER_SIZE and NVML_DEVICE_NAME_V2_BUFFER_SIZE.
constexpr unsigned kTextSize = 96;
constexpr int kTemperatureOfGpu = 0;
constexpr int kClockOfSm = 1;
constexpr int kViolatedPower = 0;
constexpr int kViolatedThermal = 1;
constexpr unsigned kVirtualizationVgpu = 2;
constexpr auto kNotAvailable = ~0ULL;
constexpr unsigned kFieldAveragePower = 185;
constexpr unsigned kFieldInstantPower = 186;

void* open(const nvml::Library& library, unsigned index) {
  void* device = nullptr;
  const auto status = library.by_index(index, &device);
  if (status == nvml::kSuccess) return device;
  unsigned count = 0;
  library.check(library.count(&count), "nvmlDeviceGetCount_v2");
  throw NvmlError("E_NVML: expected a GPU index below " + std::to_string(count) + ", found " +
                  std::to_string(index) + ": " + library.error_string(status));
}

void* open(const nvml::Library& library, const std::string& uuid) {
  void* device = nullptr;
  const auto status = library.by_uuid(uuid.c_str(), &device);
  if (status == nvml::kSuccess) return device;
  throw NvmlError("E_NVML: no GPU with UUID " + uuid + ": " + library.error_string(status));
}

template <typename Call>
std::string text(const nvml::Library& library, const char* name, Call call) {
  std::array<char, kTextSize> buffer{};
  library.check(call(buffer.data(), kTextSize), name);
  return buffer.data();
}

// What a call writes, or nothing where it does not exist or fails: facts beside the energy, which
// no measurement depends on.
template <typename Value, typename Function, typename... Arguments>
std::optional<Value> ask(Function* function, Arguments... arguments) {
  Value value{};
  if (function == nullptr || function(arguments..., &value) != nvml::kSuccess) return {};
  return value;
}

std::optional<std::uint64_t> violated_ns(const nvml::Library& library, void* device, int policy) {
  const auto found = ask<nvml::Violation>(library.violation, device, policy);
  if (!found) return {};
  return found->violated_ns;
}

}  // namespace

std::size_t nvml_device_count(const std::string& path) {
  const nvml::Library library(path);
  unsigned count = 0;
  library.check(library.count(&count), "nvmlDeviceGetCount_v2");
  return count;
}

NvmlDevice::NvmlDevice(const Which& which, const std::string& library)
    : library_(std::make_shared<const nvml::Library>(library)) {
  const auto& nvml = *library_;
  device_ = std::visit([&nvml](const auto& key) { return open(nvml, key); }, which);
  const auto of_device = [this](auto* call) {
    return [this, call](char* buffer, unsigned size) { return call(device_, buffer, size); };
  };
  uuid_ = text(nvml, "nvmlDeviceGetUUID", of_device(nvml.uuid));
  name_ = text(nvml, "nvmlDeviceGetName", of_device(nvml.name));
  driver_ = text(nvml, "nvmlSystemGetDriverVersion", nvml.driver);
  if (nvml.version != nullptr) {
    nvml_version_ = text(nvml, "nvmlSystemGetNVMLVersion", nvml.version);
  }
}

bool NvmlDevice::mig_enabled() const {
  if (library_->mig == nullptr) return false;  // a driver from before MIG
  unsigned current = 0;
  unsigned pending = 0;
  const auto status = library_->mig(device_, &current, &pending);
  if (status == nvml::kNotSupported) return false;
  library_->check(status, "nvmlDeviceGetMigMode");
  return current != 0;
}

bool NvmlDevice::is_vgpu() const {
  return ask<unsigned>(library_->virtualization, device_) == kVirtualizationVgpu;
}

std::optional<unsigned> NvmlDevice::power_limit_mw() const {
  return ask<unsigned>(library_->power_limit, device_);
}

std::optional<unsigned> NvmlDevice::temperature_c() const {
  return ask<unsigned>(library_->temperature, device_, kTemperatureOfGpu);
}

GpuState NvmlDevice::state() const {
  const auto events = ask<unsigned long long>(library_->clock_events, device_);
  unsigned average_mw = 0;
  const auto averages = read_field(kFieldAveragePower, average_mw) == nvml::kSuccess;
  return {.temperature_c = temperature_c(),
          .sm_clock_mhz = ask<unsigned>(library_->clock, device_, kClockOfSm),
          .clock_events = events,
          .average_power_mw = averages ? std::optional(average_mw) : std::nullopt,
          .thermal_violation_ns = violated_ns(*library_, device_, kViolatedThermal),
          .power_violation_ns = violated_ns(*library_, device_, kViolatedPower)};
}

std::optional<std::vector<GpuProcess>> NvmlDevice::compute_processes() const {
  if (library_->processes == nullptr) return {};
  std::vector<nvml::Process> found(16);
  auto status = nvml::kInsufficientSize;
  while (status == nvml::kInsufficientSize) {
    auto count = static_cast<unsigned>(found.size());
    status = library_->processes(device_, &count, found.data());
    // Others may start meanwhile, so twice what is asked for.
    found.resize(status == nvml::kInsufficientSize ? 2 * std::max<std::size_t>(count, 16) : count);
  }
  if (status != nvml::kSuccess) return {};
  std::vector<GpuProcess> told;
  for (const auto& process : found) {
    told.push_back({.pid = process.pid, .memory_bytes = {}});
    if (process.memory_bytes != kNotAvailable) told.back().memory_bytes = process.memory_bytes;
  }
  return told;
}

std::optional<std::vector<unsigned>> NvmlDevice::compute_pids() const {
  const auto found = compute_processes();
  if (!found) return {};
  std::vector<unsigned> pids;
  for (const auto& process : *found) pids.push_back(process.pid);
  return pids;
}

std::uint64_t NvmlDevice::total_energy_mj() const {
  unsigned long long energy_mj = 0;
  const auto status = library_->energy(device_, &energy_mj);
  if (status == nvml::kNotSupported) {
    throw NvmlError("E_NVML_ENERGY_UNSUPPORTED: GPU " + uuid_ + " (" + name_ + ", driver " +
                    driver_ + ") has no energy counter: " + library_->error_string(status) +
                    "; it needs Volta or newer, not a vGPU. The energy source nvml_power "
                    "integrates sampled power instead");
  }
  library_->check(status, "nvmlDeviceGetTotalEnergyConsumption");
  return energy_mj;
}

int NvmlDevice::read_field(unsigned field, unsigned& value) const {
  if (library_->fields == nullptr) return nvml::kNotSupported;
  nvml::FieldValue found{.field = field};
  const auto status = library_->fields(device_, 1, &found);
  value = found.value.number;
  return status == nvml::kSuccess ? found.status : status;
}

unsigned NvmlDevice::instant_power_mw() const {
  unsigned power_mw = 0;
  const auto status = read_field(kFieldInstantPower, power_mw);
  if (status == nvml::kNotSupported) {
    throw NvmlError("E_NVML_POWER_UNSUPPORTED: GPU " + uuid_ + " (" + name_ + ", driver " +
                    driver_ +
                    ") does not tell its power of a moment (field 186); it needs "
                    "driver 530 or newer");
  }
  library_->check(status, "nvmlDeviceGetFieldValues");
  return power_mw;
}

}  // namespace jouleforge
