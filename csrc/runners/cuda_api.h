// The part of the CUDA driver API that we call, by the names that libcuda.so.1 exports.
//
// The driver keeps every exported name for good, so one build serves every driver, and no CUDA
// header is needed. tests/test_cuda_symbols.py compares what is written here with cuda.h.
#pragma once

#include <cstddef>

namespace jouleforge::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = void*;
using CUgraphExec = void*;
using CUstream = void*;

// A name, with the type of the function it stands for.
template <typename Function>
struct Symbol {
  const char* name;
};

template <typename Function>
Function* pointer_to(const Symbol<Function>& symbol);

template <const auto& kSymbol>
using Pointer = decltype(pointer_to(kSymbol));

inline constexpr Symbol<CUresult(unsigned int)> kInit{"cuInit"};
inline constexpr Symbol<CUresult(CUresult, const char**)> kGetErrorString{"cuGetErrorString"};
inline constexpr Symbol<CUresult(CUdevice*, int)> kDeviceGet{"cuDeviceGet"};
inline constexpr Symbol<CUresult(CUcontext*, CUdevice)> kDevicePrimaryCtxRetain{
    "cuDevicePrimaryCtxRetain"};
inline constexpr Symbol<CUresult(CUdevice)> kDevicePrimaryCtxRelease{
    "cuDevicePrimaryCtxRelease_v2"};
inline constexpr Symbol<CUresult(CUcontext)> kCtxPushCurrent{"cuCtxPushCurrent_v2"};
inline constexpr Symbol<CUresult(CUcontext*)> kCtxPopCurrent{"cuCtxPopCurrent_v2"};
inline constexpr Symbol<CUresult(CUdeviceptr, const void*, std::size_t, CUstream)> kMemcpyHtoDAsync{
    "cuMemcpyHtoDAsync_v2"};
inline constexpr Symbol<CUresult(void*, CUdeviceptr, std::size_t, CUstream)> kMemcpyDtoHAsync{
    "cuMemcpyDtoHAsync_v2"};
inline constexpr Symbol<CUresult(CUgraphExec, CUstream)> kGraphLaunch{"cuGraphLaunch"};
inline constexpr Symbol<CUresult(CUstream)> kStreamSynchronize{"cuStreamSynchronize"};

}  // namespace jouleforge::cuda
