// Checks of given tensors against declared ones.
#include "runners/tensor.h"

#include <algorithm>
#include <stdexcept>

namespace jouleforge {
namespace {

std::string to_string(const Axis& axis) {
  if (axis.size >= 0) return std::to_string(axis.size);
  return axis.symbol.empty() ? "?" : axis.symbol;
}

std::string join(const std::vector<std::string>& parts) {
  std::string joined;
  for (const auto& part : parts) joined += (joined.empty() ? "" : ", ") + part;
  return joined;
}

template <typename Named>
std::string names_of(std::span<const Named> all) {
  std::vector<std::string> names;
  for (const auto& one : all) names.push_back(one.name);
  return join(names);
}

bool fits(const TensorSpec& spec, const Tensor& tensor) {
  if (spec.dtype != tensor.dtype) return false;
  return std::ranges::equal(spec.shape, tensor.shape, [](const Axis& axis, std::int64_t size) {
    return axis.size < 0 || axis.size == size;
  });
}

}  // namespace

std::string to_string(const TensorSpec& spec) {
  std::vector<std::string> sizes;
  for (const auto& axis : spec.shape) sizes.push_back(to_string(axis));
  return spec.dtype + "[" + join(sizes) + "]";
}

std::string to_string(const Tensor& tensor) {
  std::vector<std::string> sizes;
  for (const auto size : tensor.shape) sizes.push_back(std::to_string(size));
  return tensor.dtype + "[" + join(sizes) + "]";
}

void require_fit(const std::string& where, std::span<const TensorSpec> specs,
                 std::span<const Tensor> tensors) {
  for (const auto& spec : specs) {
    const auto found = std::ranges::find(tensors, spec.name, &Tensor::name);
    if (found == tensors.end()) {
      throw std::invalid_argument(where + ": no array for '" + spec.name + "'; expected " +
                                  names_of(specs) + "; found " +
                                  (tensors.empty() ? "none" : names_of(tensors)));
    }
    if (!fits(spec, *found)) {
      throw std::invalid_argument(where + ": '" + spec.name + "' is expected to be " +
                                  to_string(spec) + ", found " + to_string(*found));
    }
  }
  for (const auto& tensor : tensors) {
    if (std::ranges::find(specs, tensor.name, &TensorSpec::name) == specs.end()) {
      throw std::invalid_argument(where + ": the model has no '" + tensor.name + "'; expected " +
                                  names_of(specs));
    }
    if (std::ranges::count(tensors, tensor.name, &Tensor::name) > 1) {
      throw std::invalid_argument(where + ": '" + tensor.name + "' is given twice");
    }
  }
}

void require_fit(std::span<const Batch> batches, std::span<const TensorSpec> inputs,
                 std::span<const TensorSpec> outputs) {
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const auto where = "batch " + std::to_string(i);
    require_fit(where + ", inputs", inputs, batches[i].inputs);
    require_fit(where + ", outputs", outputs, batches[i].outputs);
  }
}

}  // namespace jouleforge
