// numpy arrays as the tensors of a runner.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>
#include <vector>

#include "runners/tensor.h"

namespace jouleforge::bindings {

// One (inputs, outputs) per batch, each a mapping of names to arrays.
using ArrayPairs = std::vector<std::pair<pybind11::object, pybind11::object>>;

// The batches on the arrays' own memory, which they keep alive. Throws std::invalid_argument for an
// array that is not C-contiguous, not in this machine's byte order, or an output that is read-only,
// and TypeError for what is no array; both name the batch.
[[nodiscard]] std::vector<Batch> to_batches(const ArrayPairs& pairs);

}  // namespace jouleforge::bindings
