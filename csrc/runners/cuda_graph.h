// Launches CUDA graphs that somebody else captured: TensorRT, PyTorch, anything on a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner.h"

namespace jouleforge {

// Memory of the host, and where its content is on the GPU.
struct DeviceCopy {
  std::uintptr_t device = 0;  // a CUdeviceptr
  void* host = nullptr;
  std::size_t bytes = 0;
};

// What one run consists of: copies to the GPU, the graph, copies back.
struct GraphBatch {
  std::uintptr_t graph_exec = 0;  // a CUgraphExec
  std::vector<DeviceCopy> inputs;
  std::vector<DeviceCopy> outputs;
  std::shared_ptr<const void> owner;  // keeps the graph and all of this memory alive
};

struct CudaGraphOptions {
  std::string library = "libcuda.so.1";
  int device = 0;             // CUDA's own index
  std::uintptr_t stream = 0;  // a CUstream; every run is queued on it
};

class CudaGraphRunner final : public Runner {
 public:
  // Throws RunnerError with the driver's own message: no driver, no such device.
  explicit CudaGraphRunner(const CudaGraphOptions& options);
  ~CudaGraphRunner() override;

  // Throws std::invalid_argument for a batch without a graph, or a copy without an address; what
  // was prepared before then stays.
  void prepare(std::vector<GraphBatch> batches);

  [[nodiscard]] std::size_t batches() const override { return batches_.size(); }

  // Copies, launches, copies back and waits. The copies are part of the run, as they are for an
  // input that has just arrived. Throws RunnerError with the driver's own message; nothing is
  // queued any more then.
  void run(std::size_t batch) override;

 private:
  class Driver;

  std::unique_ptr<const Driver> driver_;
  std::vector<GraphBatch> batches_;
};

}  // namespace jouleforge
