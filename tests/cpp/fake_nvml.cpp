// A libnvidia-ml.so of two GPUs, whose load, counters and faults a test sets.
//
// Time is CLOCK_MONOTONIC, unless a test puts its own in (fake_use_time): then nothing sleeps, and
// a read costs time only in the test's own count.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "fake_gpu.h"

namespace {

constexpr unsigned kDevices = 2;
constexpr int kInvalidArgument = 2;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr int kInsufficientSize = 7;
constexpr int kDriverNotLoaded = 9;
constexpr unsigned kFieldAveragePower = 185;
constexpr unsigned kFieldInstantPower = 186;

using Now = std::int64_t (*)();
using Spend = void (*)(std::int64_t);

struct Gpu {
  const char* uuid;
  fake::Load load{};
  fake::Sensor sensor{};
  fake::Counter counter{&load, {}};
  bool fixed = true;  // the counter is what a test set it to
  unsigned long long energy_mj = 0;
  double added_mj = 0;  // what reads have added
  double adds_mj = 0;   // what each read adds
  std::int64_t frozen_from_ns = INT64_MAX;
  std::int64_t reset_at_ns = INT64_MAX;
  std::int64_t read_cost_ns = 0;
  int energy_status = 0;
  int power_status = 0;
  double average_gain = 1;
  unsigned mig = 0;
  unsigned virtualization = 0;
  unsigned temperature_c = 50;
  unsigned long long clock_events = 0;
  unsigned long long thermal_violation_ns = 0;
  std::vector<unsigned> pids{};
  unsigned long long process_memory_bytes = 0;  // of each
  unsigned long long reads = 0;
};

std::mutex mutex;
Gpu gpus[kDevices] = {{.uuid = "GPU-aaaa"}, {.uuid = "GPU-bbbb"}};
int init_status = 0;
int open_count = 0;

std::int64_t real_now() {
  using std::chrono::nanoseconds, std::chrono::steady_clock;
  return std::chrono::duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}
void really_spend(std::int64_t ns) {
  if (ns > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(ns));
}

Now now = real_now;
Spend spend = really_spend;

Gpu& gpu(void* device) { return *static_cast<Gpu*>(device); }

template <typename Value>
void set(unsigned index, Value Gpu::* lever, Value value) {
  const std::lock_guard lock(mutex);
  gpus[index].*lever = value;
}

unsigned long long counted_mj(Gpu& one) {
  if (one.fixed) return one.energy_mj;
  const auto at_ns = std::min(now(), one.frozen_from_ns);
  auto joules = one.counter.joules(at_ns);
  if (at_ns >= one.reset_at_ns) joules -= one.counter.joules(one.reset_at_ns);
  one.added_mj += one.adds_mj;
  return static_cast<unsigned long long>(std::llround(joules * 1e3 + one.added_mj));
}

struct Violation {
  unsigned long long reference_us;
  unsigned long long violated_ns;
};
struct Process {
  unsigned pid;
  unsigned long long memory_bytes;
  unsigned gpu_instance;
  unsigned compute_instance;
};
struct FieldValue {
  unsigned field;
  unsigned scope;
  long long timestamp_us;
  long long latency_us;
  int value_type;
  int status;
  union {
    unsigned number;
    unsigned long long large;
  } value;
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// ---- What the tests call ----

void fake_set_energy_mj(unsigned index, unsigned long long value) {
  const std::lock_guard lock(mutex);
  gpus[index].fixed = true;
  gpus[index].energy_mj = value;
}
// Power from `at_ns[i]` on: straight from `begin_w[i]` to `end_w[i]` at `at_ns[i + 1]`.
void fake_set_load(unsigned index, std::size_t count, const std::int64_t* at_ns,
                   const double* begin_w, const double* end_w) {
  std::vector<fake::Piece> pieces;
  for (std::size_t i = 0; i < count; ++i) pieces.push_back({at_ns[i], begin_w[i], end_w[i]});
  const std::lock_guard lock(mutex);
  auto& one = gpus[index];
  one.load = fake::Load(std::move(pieces));
  one.counter = fake::Counter(&one.load, one.sensor);
  one.fixed = false;
}
void fake_set_sensor(unsigned index, const fake::Sensor* sensor, std::int64_t read_cost_ns) {
  const std::lock_guard lock(mutex);
  auto& one = gpus[index];
  one.sensor = *sensor;
  one.counter = fake::Counter(&one.load, one.sensor);
  one.read_cost_ns = read_cost_ns;
  one.fixed = false;
}
// A constant load behind a counter that ticks so often.
void fake_set_steady(unsigned index, double watts, std::int64_t period_ns) {
  const fake::Sensor sensor{.period_ns = period_ns};
  const std::int64_t begin_ns = 0;
  fake_set_sensor(index, &sensor, 0);
  fake_set_load(index, 1, &begin_ns, &watts, &watts);
}
void fake_freeze(unsigned index, std::int64_t from_ns) {
  set(index, &Gpu::frozen_from_ns, from_ns);
}
void fake_reset(unsigned index, std::int64_t at_ns) { set(index, &Gpu::reset_at_ns, at_ns); }
void fake_add_per_read(unsigned index, double mj) { set(index, &Gpu::adds_mj, mj); }
void fake_set_energy_status(unsigned index, int status) { set(index, &Gpu::energy_status, status); }
void fake_set_power_status(unsigned index, int status) { set(index, &Gpu::power_status, status); }
// The averages over a second are this many times what they should be.
void fake_set_average_gain(unsigned index, double gain) { set(index, &Gpu::average_gain, gain); }
void fake_set_mig(unsigned index, unsigned on) { set(index, &Gpu::mig, on); }
void fake_set_virtualization(unsigned index, unsigned mode) {
  set(index, &Gpu::virtualization, mode);
}
void fake_set_temperature(unsigned index, unsigned celsius) {
  set(index, &Gpu::temperature_c, celsius);
}
void fake_set_clock_events(unsigned index, unsigned long long bits) {
  set(index, &Gpu::clock_events, bits);
}
void fake_set_thermal_violation(unsigned index, unsigned long long ns) {
  set(index, &Gpu::thermal_violation_ns, ns);
}
void fake_set_pids(unsigned index, std::size_t count, const unsigned* pids) {
  const std::lock_guard lock(mutex);
  gpus[index].pids.assign(pids, pids + count);
}
void fake_set_process_memory(unsigned index, unsigned long long bytes) {
  set(index, &Gpu::process_memory_bytes, bytes);
}
void fake_set_init_status(int status) {
  const std::lock_guard lock(mutex);
  init_status = status;
}
// Everything as it was when the library was loaded.
void fake_restore() {
  const std::lock_guard lock(mutex);
  for (auto& one : gpus) {
    const auto* uuid = one.uuid;
    one = Gpu{.uuid = uuid};
    one.counter = fake::Counter(&one.load, one.sensor);
  }
  init_status = 0;
}
void fake_use_time(Now test_now, Spend test_spend) {
  const std::lock_guard lock(mutex);
  now = test_now;
  spend = test_spend;
}
int fake_open_count() {
  const std::lock_guard lock(mutex);
  return open_count;
}
unsigned long long fake_reads(unsigned index) {
  const std::lock_guard lock(mutex);
  return gpus[index].reads;
}
// [J] between two instants, as a counter that lags as this one does would have it.
double fake_truth(unsigned index, std::int64_t from_ns, std::int64_t to_ns) {
  const std::lock_guard lock(mutex);
  return gpus[index].counter.truth(from_ns, to_ns);
}

// ---- What the harness calls ----

int nvmlInit_v2() {
  const std::lock_guard lock(mutex);
  if (init_status == 0) ++open_count;
  return init_status;
}
int nvmlShutdown() {
  const std::lock_guard lock(mutex);
  --open_count;
  return 0;
}
const char* nvmlErrorString(int status) {
  if (status == kNotSupported) return "Not Supported";
  if (status == kDriverNotLoaded) return "Driver Not Loaded";
  return "Some Error";
}
int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  std::snprintf(text, size, "999.00");
  return 0;
}
int nvmlSystemGetNVMLVersion(char* text, unsigned size) {
  std::snprintf(text, size, "13.999.00");
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = kDevices;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= kDevices) return kInvalidArgument;
  *device = &gpus[index];
  return 0;
}
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  for (auto& one : gpus) {
    if (std::strcmp(one.uuid, uuid) != 0) continue;
    *device = &one;
    return 0;
  }
  return kNotFound;
}
int nvmlDeviceGetUUID(void* device, char* text, unsigned size) {
  std::snprintf(text, size, "%s", gpu(device).uuid);
  return 0;
}
int nvmlDeviceGetName(void*, char* text, unsigned size) {
  std::snprintf(text, size, "Fake GPU");
  return 0;
}
int nvmlDeviceGetMigMode(void* device, unsigned* current, unsigned* pending) {
  const std::lock_guard lock(mutex);
  *current = *pending = gpu(device).mig;
  return 0;
}
int nvmlDeviceGetVirtualizationMode(void* device, unsigned* mode) {
  const std::lock_guard lock(mutex);
  *mode = gpu(device).virtualization;
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* limit_mw) {
  *limit_mw = 700'000;
  return 0;
}
int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  const std::lock_guard lock(mutex);
  *celsius = gpu(device).temperature_c;
  return 0;
}
int nvmlDeviceGetClockInfo(void*, int, unsigned* mhz) {
  *mhz = 1500;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* bits) {
  const std::lock_guard lock(mutex);
  *bits = gpu(device).clock_events;
  return 0;
}
int nvmlDeviceGetViolationStatus(void* device, int policy, Violation* violation) {
  constexpr int kThermal = 1;
  const std::lock_guard lock(mutex);
  *violation = {0, policy == kThermal ? gpu(device).thermal_violation_ns : 0};
  return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, Process* processes) {
  const std::lock_guard lock(mutex);
  const auto& pids = gpu(device).pids;
  const auto memory_bytes = gpu(device).process_memory_bytes;
  const auto room = *count;
  *count = static_cast<unsigned>(pids.size());
  if (room < pids.size()) return kInsufficientSize;
  for (std::size_t i = 0; i < pids.size(); ++i) processes[i] = {pids[i], memory_bytes, 0, 0};
  return 0;
}
int nvmlDeviceGetFieldValues(void* device, int count, FieldValue* fields) {
  spend(gpu(device).read_cost_ns);
  const std::lock_guard lock(mutex);
  auto& one = gpu(device);
  for (int i = 0; i < count; ++i) {
    auto& field = fields[i];
    const auto average = field.field == kFieldAveragePower;
    const auto known = average || field.field == kFieldInstantPower;
    field.status = known ? one.power_status : kNotSupported;
    const auto moment_ns = one.sensor.looks_ns > 0 ? one.sensor.looks_ns : one.sensor.period_ns;
    const auto watts = one.counter.watts(now(), average ? 1'000'000'000 : moment_ns) *
                       (average ? one.average_gain : 1);
    field.value.number = static_cast<unsigned>(std::llround(watts * 1e3));
  }
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* energy_mj) {
  auto& one = gpu(device);
  const auto cost_ns = one.read_cost_ns;  // set before the meter is started
  spend(cost_ns / 2);
  int status = 0;
  {
    const std::lock_guard lock(mutex);
    ++one.reads;
    *energy_mj = counted_mj(one);
    status = one.energy_status;
  }
  spend(cost_ns - cost_ns / 2);
  return status;
}

// ---- What only other meters call (bench/meter_peers.py) ----

int nvmlInitWithFlags(unsigned) { return nvmlInit_v2(); }
int nvmlDeviceGetArchitecture(void*, unsigned* architecture) {
  *architecture = 9;  // Hopper
  return 0;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  spend(gpu(device).read_cost_ns);
  const std::lock_guard lock(mutex);
  const auto watts = gpu(device).counter.watts(now(), 1'000'000'000);
  *milliwatts = static_cast<unsigned>(std::llround(watts * 1e3));
  return 0;
}
int nvmlDeviceGetMemoryInfo(void*, unsigned long long* total_free_used) {
  total_free_used[0] = total_free_used[1] = 80ULL << 30U;
  total_free_used[2] = 0;
  return 0;
}
int nvmlDeviceGetUtilizationRates(void*, unsigned* gpu_and_memory) {
  gpu_and_memory[0] = gpu_and_memory[1] = 0;
  return 0;
}
int nvmlDeviceGetComputeMode(void*, unsigned* mode) {
  *mode = 0;
  return 0;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void*, unsigned* count, Process*) {
  *count = 0;
  return 0;
}
int nvmlDeviceGetC2cModeInfoV(void*, void*) { return kNotSupported; }

}  // extern "C"
#pragma GCC visibility pop
