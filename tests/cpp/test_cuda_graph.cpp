// The CUDA graph runner against a fake driver: copies, the wait, contexts, and clear errors.
#include <array>
#include <string>
#include <thread>

#include "check.h"
#include "dynamic_library.h"
#include "runners/cuda_graph.h"

using namespace jouleforge;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

const std::string kFake = FAKE_CUDA;
const DynamicLibrary kDriver(kFake);

template <typename... Args>
int call(const char* name, Args... args) {
  return kDriver.symbol<int(Args...)>(name)(args...);
}

void reset() { kDriver.symbol<void()>("fake_reset")(); }
void fail(const char* name, int status) {
  kDriver.symbol<void(const char*, int)>("fake_fail")(name, status);
}
std::string calls() { return kDriver.symbol<const char*()>("fake_calls")(); }

std::uintptr_t address(void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// One row of three tokens, its copy on the "GPU", and a graph that sums it for two labels.
struct Capture {
  Capture() {
    call("cuDevicePrimaryCtxRetain", &context, 0);
    call("cuCtxSetCurrent", context);
    call("cuStreamCreate", &stream, 1U);
    call("cuStreamBeginCapture_v2", stream, 1);
    call("fake_kernel", stream, wide(device_ids), wide(device_mask), wide(device_logits), 1, 3, 2);
    call("cuStreamEndCapture", stream, &graph);
    call("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
    call("cuCtxSetCurrent", static_cast<void*>(nullptr));  // the runner has to bring its own
  }
  ~Capture() {
    call("cuCtxSetCurrent", context);
    call("cuGraphExecDestroy", exec);
    call("cuGraphDestroy", graph);
    call("cuStreamDestroy_v2", stream);
    call("cuCtxSetCurrent", static_cast<void*>(nullptr));
    call("cuDevicePrimaryCtxRelease_v2", 0);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  template <typename Array>
  static unsigned long long wide(Array& array) {
    return address(array.data());
  }

  [[nodiscard]] CudaGraphOptions options() const {
    return {.library = kFake, .device = 0, .stream = address(stream)};
  }

  [[nodiscard]] GraphBatch batch() {
    return {.graph_exec = address(exec),
            .inputs = {{address(device_ids.data()), ids.data(), sizeof ids},
                       {address(device_mask.data()), mask.data(), sizeof mask}},
            .outputs = {{address(device_logits.data()), logits.data(), sizeof logits}},
            .owner = nullptr};
  }

  std::array<std::int64_t, 3> ids{5, 7, 11};
  std::array<std::int64_t, 3> mask{1, 1, 0};
  std::array<float, 2> logits{-1, -1};
  std::array<std::int64_t, 3> device_ids{};
  std::array<std::int64_t, 3> device_mask{};
  std::array<float, 2> device_logits{};
  void* context = nullptr;
  void* stream = nullptr;
  void* graph = nullptr;
  void* exec = nullptr;
};

void a_run_copies_launches_copies_back_and_waits() {
  Capture made;
  CudaGraphRunner runner(made.options());
  runner.prepare({made.batch()});
  runner.run(0);
  check(made.logits[0] == 12 && made.logits[1] == 24, "written when run() returned");
  made.ids[0] = 100;
  runner.run(0);
  check(made.logits[0] == 107, "inputs that were refilled are copied anew");
}

void a_run_brings_its_own_context_to_any_thread() {
  Capture made;
  CudaGraphRunner runner(made.options());
  runner.prepare({made.batch()});
  std::thread([&runner] {
    runner.run(0);
    void* popped = nullptr;
    check(call("cuCtxPopCurrent_v2", &popped) != 0, "no context is left behind");
  }).join();
  check(made.logits[0] == 12, "run in another thread");
}

void gives_the_context_back() {
  Capture made;
  const auto before = call("fake_live");
  {
    const CudaGraphRunner runner(made.options());
    check(call("fake_live") == before + 1, "one context while in use");
  }
  check(call("fake_live") == before, "none afterwards");
}

void a_failed_run_says_what_failed_and_still_waits() {
  for (const char* name : {"cuMemcpyHtoDAsync_v2", "cuGraphLaunch", "cuMemcpyDtoHAsync_v2",
                           "cuStreamSynchronize", "cuCtxPushCurrent_v2"}) {
    Capture made;
    CudaGraphRunner runner(made.options());
    runner.prepare({made.batch(), made.batch()});
    fail(name, 700);
    check_throws<RunnerError>([&] { runner.run(1); }, ": a fake error (CUDA error 700)");
    check_throws<RunnerError>([&] { runner.run(1); }, name);
    const auto seen = calls();
    const auto context_failed = std::string(name) == "cuCtxPushCurrent_v2";
    check(context_failed || seen.rfind("cuStreamSynchronize") > seen.rfind("cuMemcpyHtoDAsync"),
          std::string("nothing stays queued after ") + name);
    reset();
  }
}

void refuses_what_cannot_be_run() {
  Capture made;
  CudaGraphRunner runner(made.options());
  runner.prepare({made.batch()});
  auto broken = made.batch();
  broken.graph_exec = 0;
  check_throws<std::invalid_argument>([&] { runner.prepare({made.batch(), broken}); },
                                      "batch 1: expected an instantiated CUDA graph");
  broken = made.batch();
  broken.outputs[0].device = 0;
  check_throws<std::invalid_argument>([&] { runner.prepare({broken}); },
                                      "batch 0, outputs: a copy is expected to have an address");
  check_throws<std::out_of_range>([&] { runner.run(1); }, "no batch 1");
  runner.run(0);
  check(made.logits[0] == 12, "what was prepared before stays");
}

void a_missing_driver_or_device_is_one_clear_error() {
  check_throws<RunnerError>([] { const CudaGraphRunner none({.library = "libnothing.so.1"}); },
                            "libnothing.so.1");
  check_throws<RunnerError>([] { const CudaGraphRunner none({.library = "libm.so.6"}); },
                            "not a CUDA driver");
  check_throws<RunnerError>([] { const CudaGraphRunner none({.library = kFake, .device = 3}); },
                            "cuDeviceGet: invalid device ordinal (CUDA error 101)");
  fail("cuInit", 100);
  check_throws<RunnerError>([] { const CudaGraphRunner none({.library = kFake}); }, "cuInit");
  reset();
}

}  // namespace

int main() {
  a_run_copies_launches_copies_back_and_waits();
  a_run_brings_its_own_context_to_any_thread();
  gives_the_context_back();
  a_failed_run_says_what_failed_and_still_waits();
  refuses_what_cannot_be_run();
  a_missing_driver_or_device_is_one_clear_error();
  return jouleforge::testing::result();
}
