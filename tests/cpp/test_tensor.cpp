// Given tensors against declared ones: each misfit is one message with both sides.
#include <stdexcept>

#include "check.h"
#include "runners/tensor.h"

using jouleforge::require_fit;
using jouleforge::Tensor;
using jouleforge::TensorSpec;
using jouleforge::testing::check;
using jouleforge::testing::check_throws;

namespace {

const std::vector<TensorSpec> kSpecs{
    {.name = "ids", .dtype = "int64", .shape = {{-1, "batch"}, {-1, ""}}},
    {.name = "mask", .dtype = "float32", .shape = {{-1, "batch"}, {128, ""}}}};

Tensor tensor(std::string name, std::string dtype, std::vector<std::int64_t> shape) {
  return {.name = std::move(name),
          .dtype = std::move(dtype),
          .shape = std::move(shape),
          .data = nullptr,
          .bytes = 0,
          .owner = nullptr};
}

auto fitting(std::vector<Tensor> tensors) {
  return [tensors = std::move(tensors)] { require_fit("batch 3, inputs", kSpecs, tensors); };
}

void accepts_any_size_on_a_dynamic_axis() {
  fitting({tensor("mask", "float32", {8, 128}), tensor("ids", "int64", {8, 5})})();
}

void says_what_was_expected_and_found() {
  const auto ids = tensor("ids", "int64", {8, 5});
  const auto mask = tensor("mask", "float32", {8, 128});
  check_throws<std::invalid_argument>(fitting({ids}), "no array for 'mask'");
  check_throws<std::invalid_argument>(fitting({}), "found none");
  check_throws<std::invalid_argument>(fitting({ids, mask, tensor("extra", "int64", {1})}),
                                      "the model has no 'extra'");
  check_throws<std::invalid_argument>(fitting({ids, mask, ids}), "given twice");
  check_throws<std::invalid_argument>(fitting({tensor("ids", "int32", {8, 5}), mask}),
                                      "expected to be int64[batch, ?], found int32[8, 5]");
  check_throws<std::invalid_argument>(fitting({tensor("ids", "int64", {8}), mask}), "int64[8]");
  check_throws<std::invalid_argument>(fitting({ids, tensor("mask", "float32", {8, 64})}),
                                      "float32[batch, 128], found float32[8, 64]");
  check_throws<std::invalid_argument>(fitting({ids}), "batch 3, inputs");
}

}  // namespace

int main() {
  accepts_any_size_on_a_dynamic_axis();
  says_what_was_expected_and_found();
  return jouleforge::testing::result();
}
