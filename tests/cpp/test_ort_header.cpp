// Our slots against ONNX Runtime's own header: the place, and the kind of every argument.
#include <onnxruntime_c_api.h>

#include <string>
#include <type_traits>

#include "check.h"
#include "runners/ort_api.h"

using namespace jouleforge;
using jouleforge::testing::check;

namespace {

// The same to the calling convention: pointers, or integers of one size (C enums are ints).
template <typename A, typename B>
constexpr bool alike() {
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
    return std::is_void_v<A> && std::is_void_v<B>;
  } else if constexpr (std::is_pointer_v<A> || std::is_pointer_v<B>) {
    return std::is_pointer_v<A> && std::is_pointer_v<B>;
  } else {
    return sizeof(A) == sizeof(B);
  }
}

template <typename Official, typename Ours>
struct SameCall : std::false_type {};

template <typename R, typename... A, typename S, typename... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameCall<R (*)(A...) noexcept, S (*)(B...)>
    : std::bool_constant<alike<R, S>() && (alike<A, B>() && ...)> {};

template <typename R, typename... A, typename S, typename... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameCall<R (*)(A...), S (*)(B...)>
    : std::bool_constant<alike<R, S>() && (alike<A, B>() && ...)> {};

template <typename Official, typename Ours>
void compare(Official OrtApi::* member, const ort::Slot<Ours>& slot) {
  static const OrtApi table{};
  const auto offset =
      reinterpret_cast<const char*>(&(table.*member)) - reinterpret_cast<const char*>(&table);
  check(static_cast<std::size_t>(offset) == slot.number * sizeof(void*),
        std::string(slot.name) + " is at slot " +
            std::to_string(static_cast<std::size_t>(offset) / sizeof(void*)));
  check(SameCall<Official, Ours*>::value, std::string(slot.name) + " takes other arguments");
}

void finds_the_calls_on_sessions_and_tensors() {
  compare(&OrtApi::GetErrorMessage, ort::kGetErrorMessage);
  compare(&OrtApi::CreateEnv, ort::kCreateEnv);
  compare(&OrtApi::CreateSession, ort::kCreateSession);
  compare(&OrtApi::CreateSessionOptions, ort::kCreateSessionOptions);
  compare(&OrtApi::SetSessionExecutionMode, ort::kSetSessionExecutionMode);
  compare(&OrtApi::SetSessionLogSeverityLevel, ort::kSetSessionLogSeverityLevel);
  compare(&OrtApi::SetSessionGraphOptimizationLevel, ort::kSetSessionGraphOptimizationLevel);
  compare(&OrtApi::SetIntraOpNumThreads, ort::kSetIntraOpNumThreads);
  compare(&OrtApi::SetInterOpNumThreads, ort::kSetInterOpNumThreads);
  compare(&OrtApi::SessionGetInputCount, ort::kSessionGetInputCount);
  compare(&OrtApi::SessionGetOutputCount, ort::kSessionGetOutputCount);
  compare(&OrtApi::SessionGetInputTypeInfo, ort::kSessionGetInputTypeInfo);
  compare(&OrtApi::SessionGetOutputTypeInfo, ort::kSessionGetOutputTypeInfo);
  compare(&OrtApi::SessionGetInputName, ort::kSessionGetInputName);
  compare(&OrtApi::SessionGetOutputName, ort::kSessionGetOutputName);
  compare(&OrtApi::CreateTensorWithDataAsOrtValue, ort::kCreateTensorWithDataAsOrtValue);
  compare(&OrtApi::GetTensorMutableData, ort::kGetTensorMutableData);
  compare(&OrtApi::CastTypeInfoToTensorInfo, ort::kCastTypeInfoToTensorInfo);
  compare(&OrtApi::GetTensorElementType, ort::kGetTensorElementType);
  compare(&OrtApi::GetDimensionsCount, ort::kGetDimensionsCount);
  compare(&OrtApi::GetDimensions, ort::kGetDimensions);
  compare(&OrtApi::GetSymbolicDimensions, ort::kGetSymbolicDimensions);
  compare(&OrtApi::CreateCpuMemoryInfo, ort::kCreateCpuMemoryInfo);
  compare(&OrtApi::AllocatorFree, ort::kAllocatorFree);
  compare(&OrtApi::GetAllocatorWithDefaultOptions, ort::kGetAllocatorWithDefaultOptions);
}

void finds_the_releases_providers_and_bindings() {
  compare(&OrtApi::ReleaseEnv, ort::kReleaseEnv);
  compare(&OrtApi::ReleaseStatus, ort::kReleaseStatus);
  compare(&OrtApi::ReleaseMemoryInfo, ort::kReleaseMemoryInfo);
  compare(&OrtApi::ReleaseSession, ort::kReleaseSession);
  compare(&OrtApi::ReleaseValue, ort::kReleaseValue);
  compare(&OrtApi::ReleaseTypeInfo, ort::kReleaseTypeInfo);
  compare(&OrtApi::ReleaseSessionOptions, ort::kReleaseSessionOptions);
  compare(&OrtApi::GetAvailableProviders, ort::kGetAvailableProviders);
  compare(&OrtApi::ReleaseAvailableProviders, ort::kReleaseAvailableProviders);
  compare(&OrtApi::AddSessionConfigEntry, ort::kAddSessionConfigEntry);
  compare(&OrtApi::RunWithBinding, ort::kRunWithBinding);
  compare(&OrtApi::CreateIoBinding, ort::kCreateIoBinding);
  compare(&OrtApi::ReleaseIoBinding, ort::kReleaseIoBinding);
  compare(&OrtApi::BindInput, ort::kBindInput);
  compare(&OrtApi::BindOutput, ort::kBindOutput);
  compare(&OrtApi::GetBoundOutputValues, ort::kGetBoundOutputValues);
  compare(&OrtApi::SessionOptionsAppendExecutionProvider_TensorRT_V2,
          ort::kSessionOptionsAppendExecutionProvider_TensorRT_V2);
  compare(&OrtApi::CreateTensorRTProviderOptions, ort::kCreateTensorRTProviderOptions);
  compare(&OrtApi::UpdateTensorRTProviderOptions, ort::kUpdateTensorRTProviderOptions);
  compare(&OrtApi::ReleaseTensorRTProviderOptions, ort::kReleaseTensorRTProviderOptions);
  compare(&OrtApi::SynchronizeBoundInputs, ort::kSynchronizeBoundInputs);
  compare(&OrtApi::SynchronizeBoundOutputs, ort::kSynchronizeBoundOutputs);
  compare(&OrtApi::SessionOptionsAppendExecutionProvider_CUDA_V2,
          ort::kSessionOptionsAppendExecutionProvider_CUDA_V2);
  compare(&OrtApi::CreateCUDAProviderOptions, ort::kCreateCUDAProviderOptions);
  compare(&OrtApi::UpdateCUDAProviderOptions, ort::kUpdateCUDAProviderOptions);
  compare(&OrtApi::ReleaseCUDAProviderOptions, ort::kReleaseCUDAProviderOptions);
  compare(&OrtApi::SessionOptionsAppendExecutionProvider,
          ort::kSessionOptionsAppendExecutionProvider);
}

}  // namespace

int main() {
  finds_the_calls_on_sessions_and_tensors();
  finds_the_releases_providers_and_bindings();
  return jouleforge::testing::result();
}
