// A GPU's own energy counter, through NVML, which is loaded at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>

namespace jouleforge {

// The message begins with a code: E_NVML_MISSING, E_NVML_ENERGY_UNSUPPORTED, E_NVML.
struct NvmlError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr auto kNvmlLibrary = "libnvidia-ml.so.1";

// Throws NvmlError when there is no driver.
[[nodiscard]] std::size_t nvml_device_count(const std::string& library = kNvmlLibrary);

class NvmlDevice {
 public:
  // By NVML's own index, which is not CUDA's, or by UUID.
  using Which = std::variant<unsigned, std::string>;

  // Throws NvmlError when there is no driver, or no such device.
  explicit NvmlDevice(const Which& which, const std::string& library = kNvmlLibrary);

  [[nodiscard]] const std::string& uuid() const noexcept { return uuid_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& driver() const noexcept { return driver_; }

  // Whether the GPU is cut into MIG instances: its counter then covers all of them.
  [[nodiscard]] bool mig_enabled() const;

  // [mJ] since the driver was loaded. Throws NvmlError when the device does not count energy.
  [[nodiscard]] std::uint64_t total_energy_mj() const;

 private:
  class Library;
  friend std::size_t nvml_device_count(const std::string& library);

  std::shared_ptr<const Library> library_;
  void* device_ = nullptr;
  std::string uuid_;
  std::string name_;
  std::string driver_;
};

}  // namespace jouleforge
