// Tensors as a runner sees them: what a model declares, and memory that fits the declaration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace jouleforge {

// One axis of a declared shape. `size` is -1 where any size will do; `symbol` is its name, if any.
struct Axis {
  std::int64_t size = -1;
  std::string symbol;
};

struct TensorSpec {
  std::string name;
  std::string dtype;  // as numpy names it: "float32", "int64", ...
  std::vector<Axis> shape;
};

// C-contiguous memory that somebody else allocated; `owner` keeps it alive.
struct Tensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  void* data = nullptr;
  std::size_t bytes = 0;
  std::shared_ptr<const void> owner;
};

// What one run of a model reads and writes.
struct Batch {
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
};

// "float32[batch, 128]".
[[nodiscard]] std::string to_string(const TensorSpec& spec);
[[nodiscard]] std::string to_string(const Tensor& tensor);

// Throws std::invalid_argument unless there is one tensor for each spec and it has the dtype, the
// rank and the fixed sizes of that spec. `where` begins the message: "batch 3, inputs".
void require_fit(const std::string& where, std::span<const TensorSpec> specs,
                 std::span<const Tensor> tensors);

// The same of all batches' inputs and outputs; the message names the batch by its number.
void require_fit(std::span<const Batch> batches, std::span<const TensorSpec> inputs,
                 std::span<const TensorSpec> outputs);

}  // namespace jouleforge
