// NVML, by a handful of functions declared here: no NVIDIA header is needed to build.
#include "energy/nvml.h"

#include <array>

#include "dynamic_library.h"

namespace jouleforge {
namespace {

constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
// nvml.h: NVML_DEVICE_UUID_V2_BUFFER_SIZE and NVML_DEVICE_NAME_V2_BUFFER_SIZE.
constexpr std::size_t kTextSize = 96;

DynamicLibrary load(const std::string& path) {
  try {
    return DynamicLibrary(path);
  } catch (const std::runtime_error& error) {
    throw NvmlError(std::string("E_NVML_MISSING: ") + error.what() +
                    ". Is the NVIDIA driver installed? GPU energy: unavailable");
  }
}

}  // namespace

class NvmlDevice::Library {
 public:
  explicit Library(const std::string& path) : library_(load(path)) {
    check(init_(), "nvmlInit_v2");
  }
  ~Library() { shutdown_(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void check(int status, const char* call) const {
    if (status == kSuccess) return;
    throw NvmlError(std::string("E_NVML: ") + call + ": " + error_string_(status));
  }

  [[nodiscard]] unsigned count() const {
    unsigned devices = 0;
    check(count_(&devices), "nvmlDeviceGetCount_v2");
    return devices;
  }

  [[nodiscard]] void* find(unsigned index) const {
    void* device = nullptr;
    const auto status = by_index_(index, &device);
    if (status != kSuccess) {
      throw NvmlError("E_NVML: expected a GPU index below " + std::to_string(count()) + ", found " +
                      std::to_string(index) + ": " + error_string_(status));
    }
    return device;
  }

  [[nodiscard]] void* find(const std::string& uuid) const {
    void* device = nullptr;
    const auto status = by_uuid_(uuid.c_str(), &device);
    if (status != kSuccess) {
      throw NvmlError("E_NVML: no GPU with UUID " + uuid + ": " + error_string_(status));
    }
    return device;
  }

  [[nodiscard]] std::string uuid(void* device) const {
    std::array<char, kTextSize> text{};
    check(uuid_(device, text.data(), kTextSize), "nvmlDeviceGetUUID");
    return text.data();
  }

  [[nodiscard]] std::string name(void* device) const {
    std::array<char, kTextSize> text{};
    check(name_(device, text.data(), kTextSize), "nvmlDeviceGetName");
    return text.data();
  }

  [[nodiscard]] std::string driver() const {
    std::array<char, kTextSize> text{};
    check(driver_(text.data(), kTextSize), "nvmlSystemGetDriverVersion");
    return text.data();
  }

  [[nodiscard]] bool mig_enabled(void* device) const {
    if (mig_ == nullptr) return false;  // a driver from before MIG
    unsigned current = 0;
    unsigned pending = 0;
    const auto status = mig_(device, &current, &pending);
    if (status == kNotSupported) return false;
    check(status, "nvmlDeviceGetMigMode");
    return current != 0;
  }

  [[nodiscard]] std::uint64_t total_energy_mj(const NvmlDevice& device) const {
    unsigned long long energy_mj = 0;
    const auto status = energy_(device.device_, &energy_mj);
    if (status == kNotSupported) {
      throw NvmlError("E_NVML_ENERGY_UNSUPPORTED: GPU " + device.uuid_ + " (" + device.name_ +
                      ", driver " + device.driver_ + ") has no energy counter: " +
                      error_string_(status) + "; it needs Volta or newer, not a vGPU");
    }
    check(status, "nvmlDeviceGetTotalEnergyConsumption");
    return energy_mj;
  }

 private:
  template <typename Function>
  [[nodiscard]] Function* symbol(const char* name) const {
    try {
      return library_.symbol<Function>(name);
    } catch (const std::runtime_error& error) {
      throw NvmlError(std::string("E_NVML_MISSING: not an NVML library: ") + error.what());
    }
  }

  DynamicLibrary library_;
  int (*init_)() = symbol<int()>("nvmlInit_v2");
  int (*shutdown_)() = symbol<int()>("nvmlShutdown");
  const char* (*error_string_)(int) = symbol<const char*(int)>("nvmlErrorString");
  int (*driver_)(char*, unsigned) = symbol<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  int (*count_)(unsigned*) = symbol<int(unsigned*)>("nvmlDeviceGetCount_v2");
  int (*by_index_)(unsigned,
                   void**) = symbol<int(unsigned, void**)>("nvmlDeviceGetHandleByIndex_v2");
  int (*by_uuid_)(const char*,
                  void**) = symbol<int(const char*, void**)>("nvmlDeviceGetHandleByUUID");
  int (*uuid_)(void*, char*, unsigned) = symbol<int(void*, char*, unsigned)>("nvmlDeviceGetUUID");
  int (*name_)(void*, char*, unsigned) = symbol<int(void*, char*, unsigned)>("nvmlDeviceGetName");
  int (*energy_)(void*, unsigned long long*) =
      symbol<int(void*, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
  int (*mig_)(void*, unsigned*, unsigned*) =
      library_.symbol_or_null<int(void*, unsigned*, unsigned*)>("nvmlDeviceGetMigMode");
};

std::size_t nvml_device_count(const std::string& library) {
  return NvmlDevice::Library(library).count();
}

NvmlDevice::NvmlDevice(const Which& which, const std::string& library)
    : library_(std::make_shared<const Library>(library)),
      device_(std::visit([this](const auto& key) { return library_->find(key); }, which)),
      uuid_(library_->uuid(device_)),
      name_(library_->name(device_)),
      driver_(library_->driver()) {}

bool NvmlDevice::mig_enabled() const { return library_->mig_enabled(device_); }

std::uint64_t NvmlDevice::total_energy_mj() const { return library_->total_energy_mj(*this); }

}  // namespace jouleforge
