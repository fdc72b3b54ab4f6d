// A model in OpenVINO, called through the C API of the installed wheel's own library.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner.h"
#include "runners/ov_session.h"
#include "runners/tensor.h"

namespace jouleforge {

struct OvOptions {
  std::string library;  // path of libopenvino_c.so.*
  std::string model;    // path of an .xml (with its .bin beside it) or .onnx file
  ov::Compilation compilation;
};

class OvRunner final : public Runner {
 public:
  // Throws RunnerError with the runtime's own message: no such library, model or property.
  explicit OvRunner(const OvOptions& options);

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

  // What the compiled model says of itself: "INFERENCE_PRECISION_HINT" -> "f32".
  [[nodiscard]] std::string get_property(const std::string& key) const;

 private:
  struct Bound {
    Batch batch;
    ov::OwnedInferRequest request;
    bool verified = false;  // the outputs were seen to lie in our buffers
  };

  [[nodiscard]] Bound bind(Batch batch) const;
  void run_verified(Bound& bound) const;

  ov::Library library_;
  ov::OwnedCompiledModel model_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
  std::vector<Bound> bound_;
};

}  // namespace jouleforge
