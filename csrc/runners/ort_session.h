// ONNX Runtime's handles with owners, and the few steps that make a session.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dynamic_library.h"
#include "runners/ort_api.h"
#include "runners/tensor.h"

namespace jouleforge::ort {

template <typename Handle, const auto& kRelease>
struct Releaser {
  Api api;
  void operator()(Handle* handle) const noexcept { api[kRelease](handle); }
};

template <typename Handle, const auto& kRelease>
using Owned = std::unique_ptr<Handle, Releaser<Handle, kRelease>>;

struct EnvReleaser {
  Api api;
  void operator()(Env* env) const noexcept;
};
using OwnedEnv = std::unique_ptr<Env, EnvReleaser>;
using OwnedMemoryInfo = Owned<MemoryInfo, kReleaseMemoryInfo>;
using OwnedSession = Owned<Session, kReleaseSession>;
using OwnedSessionOptions = Owned<SessionOptions, kReleaseSessionOptions>;
using OwnedTypeInfo = Owned<TypeInfo, kReleaseTypeInfo>;
using OwnedValue = Owned<Value, kReleaseValue>;
using OwnedIoBinding = Owned<IoBinding, kReleaseIoBinding>;
using OwnedCudaOptions = Owned<CudaOptions, kReleaseCUDAProviderOptions>;
using OwnedTensorRtOptions = Owned<TensorRtOptions, kReleaseTensorRTProviderOptions>;

struct Provider {
  std::string name;  // as in Python: "CUDAExecutionProvider"
  std::map<std::string, std::string> options;
};

struct SessionConfig {
  int threads = 1;
  std::vector<Provider> providers;
  std::map<std::string, std::string> entries;
  int optimization_level = 99;
};

// A loaded runtime. Its environment is one per process: the runtime counts who created it.
class Library {
 public:
  // Throws RunnerError when the library cannot be loaded, or is older than kApiVersion.
  explicit Library(const std::string& path);

  [[nodiscard]] const Api& api() const noexcept { return api_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }

  // Throws RunnerError with the runtime's own message.
  void check(Status* status) const {
    if (status != nullptr) [[unlikely]] {
      raise(status);
    }
  }

  // Calls a function whose last argument receives a handle, and returns the handle's owner.
  template <typename Owner, typename Function, typename... Arguments>
  [[nodiscard]] Owner make(const Slot<Function>& create, Arguments... arguments) const {
    typename Owner::pointer handle = nullptr;
    check(api_[create](arguments..., &handle));
    return Owner(handle, {api_});
  }

  // Throws RunnerError naming the provider or the model that the runtime refuses.
  [[nodiscard]] OwnedSession make_session(const std::string& model,
                                          const SessionConfig& config) const;
  [[nodiscard]] std::vector<TensorSpec> input_specs(const Session* session) const;
  [[nodiscard]] std::vector<TensorSpec> output_specs(const Session* session) const;

  // A tensor on memory that stays the caller's.
  [[nodiscard]] OwnedValue make_value(const MemoryInfo* memory, const Tensor& tensor) const;

  // Where the runtime keeps the outputs of the last run of this binding, in the order bound.
  [[nodiscard]] std::vector<const void*> output_addresses(const IoBinding* binding) const;

 private:
  struct FreeMemory {
    const Library* library;
    template <typename T>
    void operator()(T* memory) const noexcept {
      library->free(memory);
    }
  };

  [[noreturn]] void raise(Status* status) const;
  void free(void* memory) const noexcept;
  [[nodiscard]] std::vector<std::string> available_providers() const;
  void append_provider(SessionOptions* options, const Provider& provider) const;
  [[nodiscard]] TensorSpec spec(std::string name, const TypeInfo* type) const;
  [[nodiscard]] std::vector<TensorSpec> specs(
      const Session* session, const Slot<Status*(const Session*, std::size_t*)>& count,
      const Slot<Status*(const Session*, std::size_t, Allocator*, char**)>& name,
      const Slot<Status*(const Session*, std::size_t, TypeInfo**)>& type) const;

  DynamicLibrary library_;
  std::string version_;
  Api api_;
  Allocator* allocator_ = nullptr;  // the runtime's own, never released
  OwnedEnv env_;
};

}  // namespace jouleforge::ort
