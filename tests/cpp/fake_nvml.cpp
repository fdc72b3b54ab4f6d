// A libnvidia-ml.so of two GPUs, whose counters and faults a test sets.
#include <atomic>
#include <cstdio>
#include <cstring>

namespace {

constexpr unsigned kDevices = 2;
constexpr int kInvalidArgument = 2;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr int kDriverNotLoaded = 9;

struct Gpu {
  const char* uuid;
  std::atomic<unsigned long long> energy_mj{0};
  std::atomic<int> energy_status{0};
  std::atomic<unsigned> mig{0};
};

Gpu gpus[kDevices] = {{.uuid = "GPU-aaaa"}, {.uuid = "GPU-bbbb"}};
std::atomic<int> init_status{0};
std::atomic<int> open_count{0};

Gpu& gpu(void* device) { return *static_cast<Gpu*>(device); }

}  // namespace

extern "C" {

// What the tests call.
[[gnu::visibility("default")]] void fake_set_energy_mj(unsigned index, unsigned long long value) {
  gpus[index].energy_mj = value;
}
[[gnu::visibility("default")]] void fake_set_energy_status(unsigned index, int status) {
  gpus[index].energy_status = status;
}
[[gnu::visibility("default")]] void fake_set_mig(unsigned index, unsigned on) {
  gpus[index].mig = on;
}
[[gnu::visibility("default")]] void fake_set_init_status(int status) { init_status = status; }
[[gnu::visibility("default")]] int fake_open_count() { return open_count; }

// What the harness calls.
[[gnu::visibility("default")]] int nvmlInit_v2() {
  if (init_status == 0) ++open_count;
  return init_status;
}
[[gnu::visibility("default")]] int nvmlShutdown() {
  --open_count;
  return 0;
}
[[gnu::visibility("default")]] const char* nvmlErrorString(int status) {
  if (status == kNotSupported) return "Not Supported";
  if (status == kDriverNotLoaded) return "Driver Not Loaded";
  return "Some Error";
}
[[gnu::visibility("default")]] int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  std::snprintf(text, size, "999.00");
  return 0;
}
[[gnu::visibility("default")]] int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = kDevices;
  return 0;
}
[[gnu::visibility("default")]] int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= kDevices) return kInvalidArgument;
  *device = &gpus[index];
  return 0;
}
[[gnu::visibility("default")]] int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  for (auto& one : gpus) {
    if (std::strcmp(one.uuid, uuid) != 0) continue;
    *device = &one;
    return 0;
  }
  return kNotFound;
}
[[gnu::visibility("default")]] int nvmlDeviceGetUUID(void* device, char* text, unsigned size) {
  std::snprintf(text, size, "%s", gpu(device).uuid);
  return 0;
}
[[gnu::visibility("default")]] int nvmlDeviceGetName(void*, char* text, unsigned size) {
  std::snprintf(text, size, "Fake GPU");
  return 0;
}
[[gnu::visibility("default")]] int nvmlDeviceGetMigMode(void* device, unsigned* current,
                                                        unsigned* pending) {
  *current = *pending = gpu(device).mig;
  return 0;
}
[[gnu::visibility("default")]] int nvmlDeviceGetTotalEnergyConsumption(
    void* device, unsigned long long* energy_mj) {
  *energy_mj = gpu(device).energy_mj;
  return gpu(device).energy_status;
}

}  // extern "C"
