// The part of ONNX Runtime's C API that we call, by its place in the OrtApi function table.
//
// The table is append-only: a function keeps its slot in every later version. Calling by slot needs
// no header to build, and one build serves every runtime from kApiVersion on.
// tests/test_ort_slots.py and tests/cpp/test_ort_header.cpp compare what is written here with the
// official header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jouleforge::ort {

// ONNX Runtime 1.16; the functions below all exist there.
inline constexpr std::uint32_t kApiVersion = 16;

// Opaque handles.
struct Allocator;
struct CudaOptions;
struct Env;
struct IoBinding;
struct MemoryInfo;
struct RunOptions;
struct Session;
struct SessionOptions;
struct Status;
struct TensorInfo;
struct TensorRtOptions;
struct TypeInfo;
struct Value;

// Values of the C enums that we pass; those of ONNXTensorElementDataType are in ort_session.cpp.
inline constexpr int kLogFatal =
    4;  // errors come back as a status; logging them too says all twice
inline constexpr int kSequential = 0;
inline constexpr int kDeviceAllocator = 0;
inline constexpr int kMemoryDefault = 0;

struct ApiBase {
  const void* const* (*get_api)(std::uint32_t version) noexcept;
  const char* (*version_string)() noexcept;
};

// A name and a place in the function table, with the type of the function there.
template <typename Function>
struct Slot {
  const char* name;
  std::size_t number;
};

template <typename Handle>
using Release = void(Handle*);
using Strings = const char* const*;

inline constexpr Slot<const char*(const Status*)> kGetErrorMessage{"GetErrorMessage", 2};
inline constexpr Slot<Status*(int level, const char* id, Env**)> kCreateEnv{"CreateEnv", 3};
inline constexpr Slot<Status*(const Env*, const char* path, const SessionOptions*, Session**)>
    kCreateSession{"CreateSession", 7};
inline constexpr Slot<Status*(SessionOptions**)> kCreateSessionOptions{"CreateSessionOptions", 10};
inline constexpr Slot<Status*(SessionOptions*, int mode)> kSetSessionExecutionMode{
    "SetSessionExecutionMode", 13};
inline constexpr Slot<Status*(SessionOptions*, int level)> kSetSessionLogSeverityLevel{
    "SetSessionLogSeverityLevel", 22};
inline constexpr Slot<Status*(SessionOptions*, int level)> kSetSessionGraphOptimizationLevel{
    "SetSessionGraphOptimizationLevel", 23};
inline constexpr Slot<Status*(SessionOptions*, int threads)> kSetIntraOpNumThreads{
    "SetIntraOpNumThreads", 24};
inline constexpr Slot<Status*(SessionOptions*, int threads)> kSetInterOpNumThreads{
    "SetInterOpNumThreads", 25};
inline constexpr Slot<Status*(const Session*, std::size_t*)> kSessionGetInputCount{
    "SessionGetInputCount", 30};
inline constexpr Slot<Status*(const Session*, std::size_t*)> kSessionGetOutputCount{
    "SessionGetOutputCount", 31};
inline constexpr Slot<Status*(const Session*, std::size_t index, TypeInfo**)>
    kSessionGetInputTypeInfo{"SessionGetInputTypeInfo", 33};
inline constexpr Slot<Status*(const Session*, std::size_t index, TypeInfo**)>
    kSessionGetOutputTypeInfo{"SessionGetOutputTypeInfo", 34};
inline constexpr Slot<Status*(const Session*, std::size_t index, Allocator*, char**)>
    kSessionGetInputName{"SessionGetInputName", 36};
inline constexpr Slot<Status*(const Session*, std::size_t index, Allocator*, char**)>
    kSessionGetOutputName{"SessionGetOutputName", 37};
inline constexpr Slot<Status*(const MemoryInfo*, void* data, std::size_t bytes,
                              const std::int64_t* shape, std::size_t rank, int type, Value**)>
    kCreateTensorWithDataAsOrtValue{"CreateTensorWithDataAsOrtValue", 49};
inline constexpr Slot<Status*(Value*, void** data)> kGetTensorMutableData{"GetTensorMutableData",
                                                                          51};
inline constexpr Slot<Status*(const TypeInfo*, const TensorInfo**)> kCastTypeInfoToTensorInfo{
    "CastTypeInfoToTensorInfo", 55};
inline constexpr Slot<Status*(const TensorInfo*, int* type)> kGetTensorElementType{
    "GetTensorElementType", 60};
inline constexpr Slot<Status*(const TensorInfo*, std::size_t* rank)> kGetDimensionsCount{
    "GetDimensionsCount", 61};
inline constexpr Slot<Status*(const TensorInfo*, std::int64_t* sizes, std::size_t rank)>
    kGetDimensions{"GetDimensions", 62};
inline constexpr Slot<Status*(const TensorInfo*, const char** symbols, std::size_t rank)>
    kGetSymbolicDimensions{"GetSymbolicDimensions", 63};
inline constexpr Slot<Status*(int allocator, int memory, MemoryInfo**)> kCreateCpuMemoryInfo{
    "CreateCpuMemoryInfo", 69};
inline constexpr Slot<Status*(Allocator*, void*)> kAllocatorFree{"AllocatorFree", 76};
inline constexpr Slot<Status*(Allocator**)> kGetAllocatorWithDefaultOptions{
    "GetAllocatorWithDefaultOptions", 78};
inline constexpr Slot<Release<Env>> kReleaseEnv{"ReleaseEnv", 92};
inline constexpr Slot<Release<Status>> kReleaseStatus{"ReleaseStatus", 93};
inline constexpr Slot<Release<MemoryInfo>> kReleaseMemoryInfo{"ReleaseMemoryInfo", 94};
inline constexpr Slot<Release<Session>> kReleaseSession{"ReleaseSession", 95};
inline constexpr Slot<Release<Value>> kReleaseValue{"ReleaseValue", 96};
inline constexpr Slot<Release<TypeInfo>> kReleaseTypeInfo{"ReleaseTypeInfo", 98};
inline constexpr Slot<Release<SessionOptions>> kReleaseSessionOptions{"ReleaseSessionOptions", 100};
inline constexpr Slot<Status*(char*** names, int* count)> kGetAvailableProviders{
    "GetAvailableProviders", 125};
inline constexpr Slot<Status*(char** names, int count)> kReleaseAvailableProviders{
    "ReleaseAvailableProviders", 126};
inline constexpr Slot<Status*(SessionOptions*, const char* key, const char* value)>
    kAddSessionConfigEntry{"AddSessionConfigEntry", 130};
inline constexpr Slot<Status*(Session*, const RunOptions*, const IoBinding*)> kRunWithBinding{
    "RunWithBinding", 133};
inline constexpr Slot<Status*(Session*, IoBinding**)> kCreateIoBinding{"CreateIoBinding", 134};
inline constexpr Slot<Release<IoBinding>> kReleaseIoBinding{"ReleaseIoBinding", 135};
inline constexpr Slot<Status*(IoBinding*, const char* name, const Value*)> kBindInput{"BindInput",
                                                                                      136};
inline constexpr Slot<Status*(IoBinding*, const char* name, const Value*)> kBindOutput{"BindOutput",
                                                                                       137};
inline constexpr Slot<Status*(const IoBinding*, Allocator*, Value*** values, std::size_t* count)>
    kGetBoundOutputValues{"GetBoundOutputValues", 140};
inline constexpr Slot<Status*(SessionOptions*, const TensorRtOptions*)>
    kSessionOptionsAppendExecutionProvider_TensorRT_V2{
        "SessionOptionsAppendExecutionProvider_TensorRT_V2", 170};
inline constexpr Slot<Status*(TensorRtOptions**)> kCreateTensorRTProviderOptions{
    "CreateTensorRTProviderOptions", 171};
inline constexpr Slot<Status*(TensorRtOptions*, Strings keys, Strings values, std::size_t)>
    kUpdateTensorRTProviderOptions{"UpdateTensorRTProviderOptions", 172};
inline constexpr Slot<Release<TensorRtOptions>> kReleaseTensorRTProviderOptions{
    "ReleaseTensorRTProviderOptions", 174};
inline constexpr Slot<Status*(IoBinding*)> kSynchronizeBoundInputs{"SynchronizeBoundInputs", 202};
inline constexpr Slot<Status*(IoBinding*)> kSynchronizeBoundOutputs{"SynchronizeBoundOutputs", 203};
inline constexpr Slot<Status*(SessionOptions*, const CudaOptions*)>
    kSessionOptionsAppendExecutionProvider_CUDA_V2{"SessionOptionsAppendExecutionProvider_CUDA_V2",
                                                   204};
inline constexpr Slot<Status*(CudaOptions**)> kCreateCUDAProviderOptions{
    "CreateCUDAProviderOptions", 205};
inline constexpr Slot<Status*(CudaOptions*, Strings keys, Strings values, std::size_t)>
    kUpdateCUDAProviderOptions{"UpdateCUDAProviderOptions", 206};
inline constexpr Slot<Release<CudaOptions>> kReleaseCUDAProviderOptions{
    "ReleaseCUDAProviderOptions", 208};
inline constexpr Slot<Status*(SessionOptions*, const char* name, Strings keys, Strings values,
                              std::size_t)>
    kSessionOptionsAppendExecutionProvider{"SessionOptionsAppendExecutionProvider", 216};

// The function table of one runtime: `api[kCreateEnv](...)`.
class Api {
 public:
  explicit Api(const void* const* table) noexcept : table_(table) {}

  template <typename Function>
  [[nodiscard]] Function* operator[](const Slot<Function>& slot) const noexcept {
    return reinterpret_cast<Function*>(const_cast<void*>(table_[slot.number]));
  }

 private:
  const void* const* table_;
};

}  // namespace jouleforge::ort
