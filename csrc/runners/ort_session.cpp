// Loading ONNX Runtime, and asking it for a session.
#include "runners/ort_session.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <span>
#include <string_view>

#include "runner.h"

namespace jouleforge::ort {
namespace {

// ONNXTensorElementDataType, by value. Types that numpy cannot hold as they lie in memory have a
// name that no array has.
constexpr std::array<std::string_view, 17> kDtypes{
    "undefined", "float32", "uint8",     "int8",       "uint16",  "int16",
    "int32",     "int64",   "string",    "bool",       "float16", "float64",
    "uint32",    "uint64",  "complex64", "complex128", "bfloat16"};

DynamicLibrary load(const std::string& path) {
  try {
    return DynamicLibrary(path);
  } catch (const std::runtime_error& error) {
    throw RunnerError(std::string("cannot load ONNX Runtime: ") + error.what() +
                      "; the wheels onnxruntime and onnxruntime-gpu hold it as "
                      "onnxruntime/capi/libonnxruntime.so.*");
  }
}

const ApiBase& api_base(const DynamicLibrary& library) {
  auto* const get = library.symbol_or_null<const ApiBase*()>("OrtGetApiBase");
  const auto* base = get == nullptr ? nullptr : get();
  if (base == nullptr) {
    throw RunnerError(library.path() + " is not ONNX Runtime: it has no OrtGetApiBase");
  }
  return *base;
}

Api open_api(const ApiBase& base, const std::string& path) {
  const auto* const table = base.get_api(kApiVersion);
  if (table == nullptr) {
    throw RunnerError("expected ONNX Runtime 1." + std::to_string(kApiVersion) +
                      " or newer, found " + base.version_string() + " in " + path);
  }
  return Api(table);
}

// A process has one environment, whose users the runtime counts. It counts the last one out before
// the environment is gone, and fails to make the next one until then (1.31: "Only one instance of
// LoggingManager"). So none is made while one is given back.
std::mutex environment;

OwnedEnv make_env(const Library& library) {
  const std::lock_guard lock(environment);
  return library.make<OwnedEnv>(kCreateEnv, kLogFatal, "jouleforge");
}

// The two arrays of C strings that provider options are passed as.
struct KeysAndValues {
  std::vector<const char*> keys;
  std::vector<const char*> values;

  explicit KeysAndValues(const std::map<std::string, std::string>& options) {
    for (const auto& [key, value] : options) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
};

}  // namespace

void EnvReleaser::operator()(Env* env) const noexcept {
  const std::lock_guard lock(environment);
  api[kReleaseEnv](env);
}

Library::Library(const std::string& path)
    : library_(load(path)),
      version_(api_base(library_).version_string()),
      api_(open_api(api_base(library_), path)),
      env_(make_env(*this)) {
  check(api_[kGetAllocatorWithDefaultOptions](&allocator_));
}

void Library::raise(Status* status) const {
  const Owned<Status, kReleaseStatus> owned(status, {api_});
  std::string message = api_[kGetErrorMessage](status);
  message.erase(message.find_last_not_of(" \n") + 1);
  throw RunnerError(message + " [ONNX Runtime " + version_ + "]");
}

void Library::free(void* memory) const noexcept {
  const Owned<Status, kReleaseStatus> ignored(api_[kAllocatorFree](allocator_, memory), {api_});
}

std::vector<std::string> Library::available_providers() const {
  char** names = nullptr;
  int count = 0;
  check(api_[kGetAvailableProviders](&names, &count));
  const std::span<char*> all(names, static_cast<std::size_t>(count));
  std::vector<std::string> found(all.begin(), all.end());
  check(api_[kReleaseAvailableProviders](names, count));
  return found;
}

void Library::append_provider(SessionOptions* options, const Provider& provider) const {
  const KeysAndValues given(provider.options);
  const auto count = given.keys.size();
  if (provider.name == "CPUExecutionProvider") return;  // always there, as the last resort
  if (provider.name == "CUDAExecutionProvider") {
    const auto cuda = make<OwnedCudaOptions>(kCreateCUDAProviderOptions);
    check(api_[kUpdateCUDAProviderOptions](cuda.get(), given.keys.data(), given.values.data(),
                                           count));
    check(api_[kSessionOptionsAppendExecutionProvider_CUDA_V2](options, cuda.get()));
  } else if (provider.name == "TensorrtExecutionProvider") {
    const auto trt = make<OwnedTensorRtOptions>(kCreateTensorRTProviderOptions);
    check(api_[kUpdateTensorRTProviderOptions](trt.get(), given.keys.data(), given.values.data(),
                                               count));
    check(api_[kSessionOptionsAppendExecutionProvider_TensorRT_V2](options, trt.get()));
  } else {
    check(api_[kSessionOptionsAppendExecutionProvider](
        options, provider.name.c_str(), given.keys.data(), given.values.data(), count));
  }
}

OwnedSession Library::make_session(const std::string& model, const SessionConfig& config) const {
  const auto options = make<OwnedSessionOptions>(kCreateSessionOptions);
  check(api_[kSetSessionLogSeverityLevel](options.get(), kLogFatal));
  check(api_[kSetSessionExecutionMode](options.get(), kSequential));
  check(api_[kSetIntraOpNumThreads](options.get(), config.threads));
  check(api_[kSetInterOpNumThreads](options.get(), 1));
  check(api_[kSetSessionGraphOptimizationLevel](options.get(), config.optimization_level));
  for (const auto& [key, value] : config.entries) {
    check(api_[kAddSessionConfigEntry](options.get(), key.c_str(), value.c_str()));
  }
  for (const auto& provider : config.providers) {
    try {
      append_provider(options.get(), provider);
    } catch (const RunnerError& error) {
      std::string known;
      for (const auto& name : available_providers()) known += (known.empty() ? "" : ", ") + name;
      throw RunnerError("provider " + provider.name + ": " + error.what() +
                        "; this runtime was built with " + known);
    }
  }
  try {
    return make<OwnedSession>(kCreateSession, env_.get(), model.c_str(), options.get());
  } catch (const RunnerError& error) {
    throw RunnerError("cannot load " + model + ": " + error.what());
  }
}

TensorSpec Library::spec(std::string name, const TypeInfo* type) const {
  const TensorInfo* info = nullptr;  // belongs to `type`
  check(api_[kCastTypeInfoToTensorInfo](type, &info));
  if (info == nullptr) {
    throw RunnerError("'" + name + "' is not a tensor; only tensors can be bound");
  }
  int element = 0;
  std::size_t rank = 0;
  check(api_[kGetTensorElementType](info, &element));
  check(api_[kGetDimensionsCount](info, &rank));
  std::vector<std::int64_t> sizes(rank);
  std::vector<const char*> symbols(rank);
  check(api_[kGetDimensions](info, sizes.data(), rank));
  check(api_[kGetSymbolicDimensions](info, symbols.data(), rank));
  TensorSpec found{.name = std::move(name), .dtype = {}, .shape = {}};
  const auto known = static_cast<std::size_t>(element);
  found.dtype = known < kDtypes.size() ? std::string(kDtypes[known])
                                       : "onnx element type " + std::to_string(element);
  for (std::size_t i = 0; i < rank; ++i) {
    found.shape.push_back({.size = sizes[i], .symbol = symbols[i] == nullptr ? "" : symbols[i]});
  }
  return found;
}

std::vector<TensorSpec> Library::specs(
    const Session* session, const Slot<Status*(const Session*, std::size_t*)>& count,
    const Slot<Status*(const Session*, std::size_t, Allocator*, char**)>& name,
    const Slot<Status*(const Session*, std::size_t, TypeInfo**)>& type) const {
  std::size_t total = 0;
  check(api_[count](session, &total));
  std::vector<TensorSpec> all;
  for (std::size_t i = 0; i < total; ++i) {
    char* text = nullptr;
    check(api_[name](session, i, allocator_, &text));
    const std::unique_ptr<char, FreeMemory> owned(text, {this});
    all.push_back(spec(text, make<OwnedTypeInfo>(type, session, i).get()));
  }
  return all;
}

std::vector<TensorSpec> Library::input_specs(const Session* session) const {
  return specs(session, kSessionGetInputCount, kSessionGetInputName, kSessionGetInputTypeInfo);
}

std::vector<TensorSpec> Library::output_specs(const Session* session) const {
  return specs(session, kSessionGetOutputCount, kSessionGetOutputName, kSessionGetOutputTypeInfo);
}

OwnedValue Library::make_value(const MemoryInfo* memory, const Tensor& tensor) const {
  const auto type = std::ranges::find(kDtypes, tensor.dtype) - kDtypes.begin();
  if (type == std::ssize(kDtypes)) {
    throw RunnerError("'" + tensor.name + "': no tensor can be made of " + to_string(tensor));
  }
  return make<OwnedValue>(kCreateTensorWithDataAsOrtValue, memory, tensor.data, tensor.bytes,
                          tensor.shape.data(), tensor.shape.size(), static_cast<int>(type));
}

std::vector<const void*> Library::output_addresses(const IoBinding* binding) const {
  Value** values = nullptr;
  std::size_t count = 0;
  check(api_[kGetBoundOutputValues](binding, allocator_, &values, &count));
  const std::unique_ptr<Value*, FreeMemory> array(values, {this});
  std::vector<OwnedValue> owned;
  for (auto* const value : std::span(values, count))
    owned.emplace_back(value, Releaser<Value, kReleaseValue>{api_});
  std::vector<const void*> addresses;
  for (const auto& value : owned) {
    void* data = nullptr;
    check(api_[kGetTensorMutableData](value.get(), &data));
    addresses.push_back(data);
  }
  return addresses;
}

}  // namespace jouleforge::ort
