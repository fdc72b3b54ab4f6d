// A libcuda.so of one GPU whose memory is the host's. Work is done when a stream is waited for and
// not before, so a run that forgets to wait leaves its outputs unwritten. Every call that needs a
// context says so when the thread has none. Tests read the calls, and make any of them fail.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr int kInvalidValue = 1;
constexpr int kInvalidDevice = 101;
constexpr int kInvalidContext = 201;
constexpr int kCaptureUnsupported = 900;

using Work = std::vector<std::function<void()>>;

struct Stream {
  Work pending;
  Work* capture = nullptr;
};

struct {
  std::map<std::string, int> faults;
  std::string calls;
  int live = 0;  // contexts, streams, graphs and allocations that were not given back
  int captures = 0;
  unsigned schedule = 0;
} state;

int context_object = 0;
thread_local std::vector<void*> contexts;

// The status a call begins with: what a test asked for, else whether it may be made at all.
int enter(const char* call, bool needs_context = true) {
  state.calls += std::string(call) + "\n";
  const auto fault = state.faults.find(call);
  if (fault != state.faults.end()) return fault->second;
  return needs_context && contexts.empty() ? kInvalidContext : 0;
}

int enqueue(void* stream, std::function<void()> work) {
  auto& queue = *static_cast<Stream*>(stream);
  (queue.capture != nullptr ? *queue.capture : queue.pending).push_back(std::move(work));
  return 0;
}

void* as_pointer(unsigned long long address) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
}

}  // namespace

extern "C" {

// What the tests call.
[[gnu::visibility("default")]] void fake_reset() { state = {}; }
[[gnu::visibility("default")]] void fake_fail(const char* call, int status) {
  state.faults[call] = status;
}
[[gnu::visibility("default")]] const char* fake_calls() { return state.calls.c_str(); }
[[gnu::visibility("default")]] int fake_live() { return state.live; }
[[gnu::visibility("default")]] void fake_set_schedule(unsigned flags) { state.schedule = flags; }
[[gnu::visibility("default")]] int fake_captures() { return state.captures; }
// A kernel: out[row][label] = (label + 1) * sum over the row of ids * mask.
[[gnu::visibility("default")]] int fake_kernel(void* stream, unsigned long long ids,
                                               unsigned long long mask, unsigned long long out,
                                               int rows, int width, int labels) {
  return enqueue(stream, [=] {
    const auto* a = static_cast<const std::int64_t*>(as_pointer(ids));
    const auto* b = static_cast<const std::int64_t*>(as_pointer(mask));
    auto* result = static_cast<float*>(as_pointer(out));
    for (int row = 0; row < rows; ++row) {
      std::int64_t sum = 0;
      for (int i = row * width; i < (row + 1) * width; ++i) sum += a[i] * b[i];
      for (int label = 0; label < labels; ++label) {
        result[row * labels + label] = static_cast<float>(sum * (label + 1));
      }
    }
  });
}

// What the harness calls.
[[gnu::visibility("default")]] int cuInit(unsigned) { return enter("cuInit", false); }
[[gnu::visibility("default")]] int cuGetErrorString(int status, const char** text) {
  *text = status == kInvalidDevice ? "invalid device ordinal" : "a fake error";
  return 0;
}
[[gnu::visibility("default")]] int cuDriverGetVersion(int* version) {
  *version = 13020;
  return enter("cuDriverGetVersion", false);
}
[[gnu::visibility("default")]] int cuDeviceGetCount(int* count) {
  const int status = enter("cuDeviceGetCount", false);
  *count = status == 0 ? 1 : 0;
  return status;
}
[[gnu::visibility("default")]] int cuDeviceGet(int* device, int ordinal) {
  const int status = enter("cuDeviceGet", false);
  if (ordinal != 0) return kInvalidDevice;
  *device = 0;
  return status;
}
[[gnu::visibility("default")]] int cuDeviceGetUuid_v2(char* uuid, int) {
  for (int i = 0; i < 16; ++i) uuid[i] = static_cast<char>(i);
  return enter("cuDeviceGetUuid_v2", false);
}
[[gnu::visibility("default")]] int cuDeviceGetName(char* name, int size, int) {
  std::snprintf(name, static_cast<std::size_t>(size), "Fake GPU");
  return enter("cuDeviceGetName", false);
}
[[gnu::visibility("default")]] int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 9 : 0;  // compute capability, major
  return enter("cuDeviceGetAttribute", false);
}
[[gnu::visibility("default")]] int cuDevicePrimaryCtxRetain(void** context, int) {
  const int status = enter("cuDevicePrimaryCtxRetain", false);
  if (status != 0) return status;
  *context = &context_object;
  ++state.live;
  return 0;
}
[[gnu::visibility("default")]] int cuDevicePrimaryCtxRelease_v2(int) {
  --state.live;
  return enter("cuDevicePrimaryCtxRelease_v2", false);
}
[[gnu::visibility("default")]] int cuDevicePrimaryCtxGetState(int, unsigned* flags, int* active) {
  *flags = state.schedule;
  *active = 1;
  return enter("cuDevicePrimaryCtxGetState", false);
}
[[gnu::visibility("default")]] int cuCtxSetCurrent(void* context) {
  const int status = enter("cuCtxSetCurrent", false);
  if (status != 0) return status;
  contexts.clear();
  if (context != nullptr) contexts.push_back(context);
  return 0;
}
[[gnu::visibility("default")]] int cuCtxPushCurrent_v2(void* context) {
  const int status = enter("cuCtxPushCurrent_v2", false);
  if (status == 0) contexts.push_back(context);
  return status;
}
[[gnu::visibility("default")]] int cuCtxPopCurrent_v2(void** context) {
  const int status = enter("cuCtxPopCurrent_v2");
  if (status != 0) return status;
  *context = contexts.back();
  contexts.pop_back();
  return 0;
}
[[gnu::visibility("default")]] int cuMemAlloc_v2(unsigned long long* address, std::size_t bytes) {
  const int status = enter("cuMemAlloc_v2");
  if (status != 0) return status;
  if (state.captures > 0) return kCaptureUnsupported;
  if (bytes == 0) return kInvalidValue;
  *address = reinterpret_cast<std::uintptr_t>(std::malloc(bytes));
  ++state.live;
  return 0;
}
[[gnu::visibility("default")]] int cuMemFree_v2(unsigned long long address) {
  std::free(as_pointer(address));
  --state.live;
  return enter("cuMemFree_v2");
}
[[gnu::visibility("default")]] int cuStreamCreate(void** stream, unsigned) {
  const int status = enter("cuStreamCreate");
  if (status != 0) return status;
  *stream = new Stream;
  ++state.live;
  return 0;
}
[[gnu::visibility("default")]] int cuStreamDestroy_v2(void* stream) {
  delete static_cast<Stream*>(stream);
  --state.live;
  return enter("cuStreamDestroy_v2");
}
[[gnu::visibility("default")]] int cuStreamSynchronize(void* stream) {
  const int status = enter("cuStreamSynchronize");
  if (status != 0) return status;
  auto& queue = *static_cast<Stream*>(stream);
  if (queue.capture != nullptr) return kCaptureUnsupported;
  for (const auto& work : std::exchange(queue.pending, {})) work();
  return 0;
}
[[gnu::visibility("default")]] int cuMemcpyHtoDAsync_v2(unsigned long long device, const void* host,
                                                        std::size_t bytes, void* stream) {
  const int status = enter("cuMemcpyHtoDAsync_v2");
  if (status != 0) return status;
  return enqueue(stream, [=] { std::memcpy(as_pointer(device), host, bytes); });
}
[[gnu::visibility("default")]] int cuMemcpyDtoHAsync_v2(void* host, unsigned long long device,
                                                        std::size_t bytes, void* stream) {
  const int status = enter("cuMemcpyDtoHAsync_v2");
  if (status != 0) return status;
  return enqueue(stream, [=] { std::memcpy(host, as_pointer(device), bytes); });
}
[[gnu::visibility("default")]] int cuMemcpyDtoDAsync_v2(unsigned long long target,
                                                        unsigned long long source,
                                                        std::size_t bytes, void* stream) {
  const int status = enter("cuMemcpyDtoDAsync_v2");
  if (status != 0) return status;
  return enqueue(stream, [=] { std::memcpy(as_pointer(target), as_pointer(source), bytes); });
}
[[gnu::visibility("default")]] int cuStreamBeginCapture_v2(void* stream, int) {
  const int status = enter("cuStreamBeginCapture_v2");
  if (status != 0) return status;
  static_cast<Stream*>(stream)->capture = new Work;
  ++state.live;
  ++state.captures;
  return 0;
}
[[gnu::visibility("default")]] int cuStreamEndCapture(void* stream, void** graph) {
  const int status = enter("cuStreamEndCapture");
  *graph = std::exchange(static_cast<Stream*>(stream)->capture, nullptr);
  --state.captures;
  return status;
}
[[gnu::visibility("default")]] int cuGraphInstantiateWithFlags(void** exec, void* graph,
                                                               unsigned long long) {
  const int status = enter("cuGraphInstantiateWithFlags");
  if (status != 0) return status;
  *exec = new Work(*static_cast<Work*>(graph));
  ++state.live;
  return 0;
}
[[gnu::visibility("default")]] int cuGraphDestroy(void* graph) {
  delete static_cast<Work*>(graph);
  --state.live;
  return enter("cuGraphDestroy");
}
[[gnu::visibility("default")]] int cuGraphExecDestroy(void* exec) {
  delete static_cast<Work*>(exec);
  --state.live;
  return enter("cuGraphExecDestroy");
}
[[gnu::visibility("default")]] int cuGraphLaunch(void* exec, void* stream) {
  const int status = enter("cuGraphLaunch");
  if (status != 0) return status;
  for (const auto& work : *static_cast<Work*>(exec)) enqueue(stream, work);
  return 0;
}

}  // extern "C"
