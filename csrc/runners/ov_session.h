// OpenVINO's handles with owners, and the few steps that make a compiled model.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dynamic_library.h"
#include "runners/ov_api.h"
#include "runners/tensor.h"

namespace jouleforge::ov {

// The deleter is the library's own function.
template <typename Handle>
using Owned = std::unique_ptr<Handle, void (*)(Handle*)>;

using OwnedCore = Owned<Core>;
using OwnedCompiledModel = Owned<CompiledModel>;
using OwnedInferRequest = Owned<InferRequest>;
using OwnedPort = Owned<Port>;
using OwnedTensor = Owned<HostTensor>;

struct Compilation {
  int threads = 1;
  // INFERENCE_PRECISION_HINT: "f32", "bf16" or "f16". Never left out, because the default depends
  // on the processor.
  std::string precision = "f32";
  std::map<std::string, std::string> entries;  // further properties of the CPU plugin
};

// A loaded runtime with a core of its own, so that properties do not reach other runners.
class Library {
 public:
  // Throws RunnerError when the library cannot be loaded or is not one that we know.
  explicit Library(const std::string& path);
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  [[nodiscard]] const Api& api() const noexcept { return api_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }

  // Throws RunnerError with the runtime's own message.
  void check(Status status) const {
    if (status != kOk) [[unlikely]] {
      raise(status);
    }
  }

  // Calls a function whose last argument receives a handle, and returns the handle's owner.
  template <typename Handle, typename Create, typename... Arguments>
  [[nodiscard]] Owned<Handle> make(void (*release)(Handle*), Create create,
                                   Arguments... arguments) const {
    Handle* handle = nullptr;
    check(create(arguments..., &handle));
    return {handle, release};
  }

  // Compiles a model file for the CPU. Throws RunnerError naming what the runtime refuses, and when
  // it would use another number of threads than asked for.
  [[nodiscard]] OwnedCompiledModel compile(const std::string& model,
                                           const Compilation& compilation) const;
  [[nodiscard]] std::string property(const CompiledModel* model, const std::string& key) const;
  [[nodiscard]] std::vector<TensorSpec> input_specs(const CompiledModel* model) const;
  [[nodiscard]] std::vector<TensorSpec> output_specs(const CompiledModel* model) const;

  // A tensor on memory that stays the caller's.
  [[nodiscard]] OwnedTensor make_tensor(const Tensor& tensor) const;

  // Throws RunnerError unless the request holds this output in the memory and the shape given.
  void require_bound(const InferRequest* request, const Tensor& tensor) const;

 private:
  [[noreturn]] void raise(Status status) const;
  [[nodiscard]] std::string take(char* text) const;
  void require_known_types() const;
  void set_property(const std::string& key, const std::string& value) const;
  [[nodiscard]] TensorSpec spec(const Port* port) const;

  DynamicLibrary library_;
  Api api_;
  std::string version_;
  OwnedCore core_;
};

}  // namespace jouleforge::ov
