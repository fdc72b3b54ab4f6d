// A GPU as NVML shows it: its energy counter, and what tells whether the counter can be believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace jouleforge {

// The message begins with a code: E_NVML_MISSING, E_NVML_ENERGY_UNSUPPORTED, E_NVML, or one of the
// meter's (E_COUNTER_FROZEN, E_EDGE_WIDE, ...).
struct NvmlError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace nvml {
class Library;
}

inline constexpr auto kNvmlLibrary = "libnvidia-ml.so.1";

// Throws NvmlError when there is no driver.
[[nodiscard]] std::size_t nvml_device_count(const std::string& library = kNvmlLibrary);

// Of one moment. A field is absent where the GPU or its driver does not tell.
struct GpuState {
  std::optional<unsigned> temperature_c;
  std::optional<unsigned> sm_clock_mhz;
  std::optional<std::uint64_t> clock_events;  // bits of nvml.h: why clocks are as low as they are
  std::optional<unsigned> average_power_mw;   // over the second before (field 185)
  // Since the driver was loaded.
  std::optional<std::uint64_t> thermal_violation_ns;
  std::optional<std::uint64_t> power_violation_ns;
};

struct GpuProcess {
  unsigned pid = 0;                           // as the driver numbers it
  std::optional<std::uint64_t> memory_bytes;  // absent where the driver does not tell
};

// One call, and "ok" or the status it gave.
struct NvmlAnswer {
  std::string call;
  std::string status;
};

class NvmlDevice {
 public:
  // By NVML's own index, which is not CUDA's, or by UUID.
  using Which = std::variant<unsigned, std::string>;

  // Throws NvmlError when there is no driver, or no such device.
  explicit NvmlDevice(const Which& which, const std::string& library = kNvmlLibrary);

  [[nodiscard]] const std::string& uuid() const noexcept { return uuid_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& driver() const noexcept { return driver_; }
  [[nodiscard]] const std::string& nvml_version() const noexcept { return nvml_version_; }

  // Whether the GPU is cut into MIG instances: its counter then covers all of them.
  [[nodiscard]] bool mig_enabled() const;

  // Whether this machine sees a share of a GPU (vGPU) instead of the whole.
  [[nodiscard]] bool is_vgpu() const;

  // [mW] what the board is held to, if it tells.
  [[nodiscard]] std::optional<unsigned> power_limit_mw() const;

  [[nodiscard]] std::optional<unsigned> temperature_c() const;

  [[nodiscard]] GpuState state() const;

  // Those that compute on the GPU; absent if the driver does not tell.
  [[nodiscard]] std::optional<std::vector<GpuProcess>> compute_processes() const;

  // Process ids that compute on the GPU, as the driver numbers them; absent if it does not tell.
  [[nodiscard]] std::optional<std::vector<unsigned>> compute_pids() const;

  // [mJ] since the driver was loaded. Throws NvmlError when the device does not count energy.
  [[nodiscard]] std::uint64_t total_energy_mj() const;

  // [mW] at this moment (field 186), never the average over a second that other calls give.
  // Throws NvmlError, E_NVML_POWER_UNSUPPORTED where the device does not tell.
  [[nodiscard]] unsigned instant_power_mw() const;

  // Every call a meter makes, made once: what this GPU and its driver can tell.
  [[nodiscard]] std::vector<NvmlAnswer> answers() const;

 private:
  [[nodiscard]] int read_field(unsigned field, unsigned& value) const;

  std::shared_ptr<const nvml::Library> library_;
  void* device_ = nullptr;
  std::string uuid_;
  std::string name_;
  std::string driver_;
  std::string nvml_version_;
};

}  // namespace jouleforge
