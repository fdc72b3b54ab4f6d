// The CUDA graph runner, over the driver's own library.
#include "runners/cuda_graph.h"

#include <stdexcept>
#include <utility>

#include "dynamic_library.h"
#include "runners/cuda_api.h"

namespace jouleforge {
namespace {

using namespace cuda;  // the driver's names, which are many

constexpr CUresult kSuccess = 0;

DynamicLibrary load(const std::string& path) {
  try {
    return DynamicLibrary(path);
  } catch (const std::runtime_error& error) {
    throw RunnerError(std::string("cannot load the CUDA driver: ") + error.what() +
                      ". Is the NVIDIA driver installed?");
  }
}

void* handle(std::uintptr_t address) noexcept { return reinterpret_cast<void*>(address); }

void require_complete(const std::string& where, const std::vector<DeviceCopy>& copies) {
  for (const auto& copy : copies) {
    if (copy.bytes > 0 && (copy.device == 0 || copy.host == nullptr)) {
      throw std::invalid_argument(where + ": a copy is expected to have an address on both sides");
    }
  }
}

}  // namespace

class CudaGraphRunner::Driver {
 public:
  // What went wrong first, if anything did.
  struct Outcome {
    CUresult status = kSuccess;
    const char* call = "";

    [[nodiscard]] bool failed() const noexcept { return status != kSuccess; }
  };

  // Makes our context the thread's own while in scope: the loop may run in any thread.
  class Current {
   public:
    explicit Current(const Driver& driver) : driver_(driver) {
      driver_.check({driver_.push_(driver_.context_), kCtxPushCurrent.name}, "");
    }
    ~Current() {
      CUcontext popped = nullptr;
      driver_.pop_(&popped);
    }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;

   private:
    const Driver& driver_;
  };

  explicit Driver(const CudaGraphOptions& options)
      : library_(load(options.library)), stream_(handle(options.stream)) {
    check({init_(0), kInit.name}, "");
    check({device_get_(&device_, options.device), kDeviceGet.name}, "");
    check({retain_(&context_, device_), kDevicePrimaryCtxRetain.name}, "");
  }
  ~Driver() { release_(device_); }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  void check(const Outcome& outcome, const std::string& where) const {
    if (!outcome.failed()) return;
    const char* text = nullptr;
    error_string_(outcome.status, &text);
    throw RunnerError(where + outcome.call + ": " + (text == nullptr ? "unknown error" : text) +
                      " (CUDA error " + std::to_string(outcome.status) + ")");
  }

  [[nodiscard]] Outcome enqueue(const GraphBatch& batch) const noexcept {
    for (const auto& copy : batch.inputs) {
      const auto status = to_device_(copy.device, copy.host, copy.bytes, stream_);
      if (status != kSuccess) return {status, kMemcpyHtoDAsync.name};
    }
    const auto status = launch_(handle(batch.graph_exec), stream_);
    if (status != kSuccess) return {status, kGraphLaunch.name};
    for (const auto& copy : batch.outputs) {
      const auto copied = to_host_(copy.host, copy.device, copy.bytes, stream_);
      if (copied != kSuccess) return {copied, kMemcpyDtoHAsync.name};
    }
    return {};
  }

  [[nodiscard]] Outcome wait() const noexcept {
    return {synchronize_(stream_), kStreamSynchronize.name};
  }

 private:
  template <typename Function>
  [[nodiscard]] Function* symbol(const Symbol<Function>& symbol) const {
    try {
      return library_.symbol<Function>(symbol.name);
    } catch (const std::runtime_error& error) {
      throw RunnerError(std::string("not a CUDA driver: ") + error.what());
    }
  }

  DynamicLibrary library_;
  CUstream stream_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  Pointer<kInit> init_ = symbol(kInit);
  Pointer<kGetErrorString> error_string_ = symbol(kGetErrorString);
  Pointer<kDeviceGet> device_get_ = symbol(kDeviceGet);
  Pointer<kDevicePrimaryCtxRetain> retain_ = symbol(kDevicePrimaryCtxRetain);
  Pointer<kDevicePrimaryCtxRelease> release_ = symbol(kDevicePrimaryCtxRelease);
  Pointer<kCtxPushCurrent> push_ = symbol(kCtxPushCurrent);
  Pointer<kCtxPopCurrent> pop_ = symbol(kCtxPopCurrent);
  Pointer<kMemcpyHtoDAsync> to_device_ = symbol(kMemcpyHtoDAsync);
  Pointer<kMemcpyDtoHAsync> to_host_ = symbol(kMemcpyDtoHAsync);
  Pointer<kGraphLaunch> launch_ = symbol(kGraphLaunch);
  Pointer<kStreamSynchronize> synchronize_ = symbol(kStreamSynchronize);
};

CudaGraphRunner::CudaGraphRunner(const CudaGraphOptions& options)
    : driver_(std::make_unique<const Driver>(options)) {}

CudaGraphRunner::~CudaGraphRunner() = default;

void CudaGraphRunner::prepare(std::vector<GraphBatch> batches) {
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const auto where = "batch " + std::to_string(i);
    if (batches[i].graph_exec == 0) {
      throw std::invalid_argument(where + ": expected an instantiated CUDA graph, found none");
    }
    require_complete(where + ", inputs", batches[i].inputs);
    require_complete(where + ", outputs", batches[i].outputs);
  }
  batches_ = std::move(batches);
}

void CudaGraphRunner::run(std::size_t batch) {
  require_batch(batch, batches_.size());
  const Driver::Current current(*driver_);
  const auto queued = driver_->enqueue(batches_[batch]);
  // Also after a failure: what is queued already reads and writes the caller's memory.
  const auto done = driver_->wait();
  if (queued.failed() || done.failed()) [[unlikely]] {
    driver_->check(queued.failed() ? queued : done, "batch " + std::to_string(batch) + ": ");
  }
}

}  // namespace jouleforge
