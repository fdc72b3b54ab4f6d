// A model in ONNX Runtime, called through the C API of the installed wheel's own library.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner.h"
#include "runners/ort_session.h"
#include "runners/tensor.h"

namespace jouleforge {

struct OrtOptions {
  std::string library;  // path of libonnxruntime.so.*
  std::string model;    // path of a .onnx file
  ort::SessionConfig session;
};

class OrtRunner final : public Runner {
 public:
  // Throws RunnerError with the runtime's own message: no such library, model or provider.
  explicit OrtRunner(const OrtOptions& options);

  // Binds each batch's arrays once. They are read and written in place by every run, so the caller
  // may refill the inputs between runs. Throws std::invalid_argument when an array does not fit the
  // model; what was prepared before then stays.
  void prepare(std::vector<Batch> batches);

  [[nodiscard]] std::size_t batches() const override { return bound_.size(); }

  // Throws RunnerError with the runtime's own message: a size the model refuses, say.
  void run(std::size_t batch) override;

  [[nodiscard]] const std::vector<TensorSpec>& input_specs() const noexcept { return inputs_; }
  [[nodiscard]] const std::vector<TensorSpec>& output_specs() const noexcept { return outputs_; }
  [[nodiscard]] const std::string& version() const noexcept { return library_.version(); }

 private:
  struct Bound {
    Batch batch;
    std::vector<ort::OwnedValue> inputs;
    std::vector<ort::OwnedValue> outputs;
    ort::OwnedIoBinding binding;
    bool verified = false;  // the outputs were seen to lie in our buffers
  };

  [[nodiscard]] Bound bind(Batch batch) const;
  void bind_inputs(const Bound& bound) const;
  void verify(Bound& bound) const;

  ort::Library library_;
  ort::OwnedSession session_;
  ort::OwnedMemoryInfo memory_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
  // Binding copies an input to a device at once. With a device, each run therefore binds its inputs
  // anew, so that the copy is part of the run, as it is for an input that has just arrived.
  bool on_device_;
  std::vector<Bound> bound_;
};

}  // namespace jouleforge
