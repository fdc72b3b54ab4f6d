// libnvidia-ml, loaded at run time: the functions we call, declared here, so that no NVIDIA header
// is needed to build. Names, values and layouts are those of nvml.h 12.9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "dynamic_library.h"

namespace jouleforge::nvml {

inline constexpr int kSuccess = 0;
inline constexpr int kNotSupported = 3;
inline constexpr int kInsufficientSize = 7;

struct Violation {
  unsigned long long reference_us = 0;
  unsigned long long violated_ns = 0;
};

struct Process {
  unsigned pid = 0;
  unsigned long long memory_bytes = 0;
  unsigned gpu_instance = 0;
  unsigned compute_instance = 0;
};

struct FieldValue {
  unsigned field = 0;
  unsigned scope = 0;
  long long timestamp_us = 0;
  long long latency_us = 0;
  int value_type = 0;
  int status = 0;
  union {
    unsigned number;
    unsigned long long large;
  } value = {.large = 0};
};

// The calls keep NVML's own signatures and status codes; NvmlDevice gives them a meaning.
class Library {
 public:
  // Throws NvmlError when the library is missing, is another one, or refuses.
  explicit Library(const std::string& path);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  Library(Library&&) = delete;
  Library& operator=(Library&&) = delete;

  // Throws NvmlError for any status but success.
  void check(int status, const char* call) const;

 private:
  template <typename Function>
  [[nodiscard]] Function* need(const char* symbol) const;
  template <typename Function>
  [[nodiscard]] Function* find(const char* symbol) const {
    return library_.symbol_or_null<Function>(symbol);
  }

  DynamicLibrary library_;

  using Unsigned = int(void*, unsigned*);
  using Text = int(void*, char*, unsigned);

 public:
  int (*init)() = need<int()>("nvmlInit_v2");
  int (*shutdown)() = need<int()>("nvmlShutdown");
  const char* (*error_string)(int) = need<const char*(int)>("nvmlErrorString");
  int (*driver)(char*, unsigned) = need<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  int (*count)(unsigned*) = need<int(unsigned*)>("nvmlDeviceGetCount_v2");
  int (*by_index)(unsigned, void**) = need<int(unsigned, void**)>("nvmlDeviceGetHandleByIndex_v2");
  int (*by_uuid)(const char*, void**) = need<int(const char*, void**)>("nvmlDeviceGetHandleByUUID");
  Text* uuid = need<Text>("nvmlDeviceGetUUID");
  Text* name = need<Text>("nvmlDeviceGetName");
  int (*energy)(void*, unsigned long long*) =
      need<int(void*, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");

  // Null where the driver is too old for it.
  int (*version)(char*, unsigned) = find<int(char*, unsigned)>("nvmlSystemGetNVMLVersion");
  int (*mig)(void*, unsigned*,
             unsigned*) = find<int(void*, unsigned*, unsigned*)>("nvmlDeviceGetMigMode");
  Unsigned* virtualization = find<Unsigned>("nvmlDeviceGetVirtualizationMode");
  Unsigned* power_limit = find<Unsigned>("nvmlDeviceGetEnforcedPowerLimit");
  int (*temperature)(void*, int,
                     unsigned*) = find<int(void*, int, unsigned*)>("nvmlDeviceGetTemperature");
  int (*clock)(void*, int, unsigned*) = find<int(void*, int, unsigned*)>("nvmlDeviceGetClockInfo");
  int (*clock_events)(void*, unsigned long long*) = find<int(void*, unsigned long long*)>(
      "nvmlDeviceGetCurrentClocksThrottleReasons");  // its old name, kept in new drivers
  int (*violation)(void*, int,
                   Violation*) = find<int(void*, int, Violation*)>("nvmlDeviceGetViolationStatus");
  int (*processes)(void*, unsigned*, Process*) =
      find<int(void*, unsigned*, Process*)>("nvmlDeviceGetComputeRunningProcesses_v3");
  int (*fields)(void*, int,
                FieldValue*) = find<int(void*, int, FieldValue*)>("nvmlDeviceGetFieldValues");
};

}  // namespace jouleforge::nvml
