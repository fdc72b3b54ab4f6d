// From numpy arrays to tensors.
#include "bindings/arrays.h"

#include <pybind11/numpy.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

// Keeps an array alive from C++, where nobody holds the GIL.
std::shared_ptr<const void> own(const py::array& array) {
  return {array.inc_ref().ptr(), [](PyObject* object) {
            const py::gil_scoped_acquire gil;
            Py_DECREF(object);
          }};
}

Tensor to_tensor(const std::string& where, const std::string& name, const py::handle& value) {
  if (!py::isinstance<py::array>(value)) {
    throw py::type_error(where + ": '" + name + "' is expected to be a numpy array, found " +
                         std::string(py::str(py::type::handle_of(value))));
  }
  const auto array = py::reinterpret_borrow<py::array>(value);
  if ((array.flags() & py::array::c_style) == 0) {
    throw std::invalid_argument(where + ": '" + name + "' is expected to be C-contiguous; use " +
                                "numpy.ascontiguousarray");
  }
  if (!array.dtype().attr("isnative").cast<bool>()) {
    throw std::invalid_argument(where + ": '" + name +
                                "' is expected in this machine's byte order");
  }
  return {.name = name,
          .dtype = array.dtype().attr("name").cast<std::string>(),
          .shape = {array.shape(), array.shape() + array.ndim()},
          .data = const_cast<void*>(array.data()),
          .bytes = static_cast<std::size_t>(array.nbytes()),
          .owner = own(array)};
}

std::vector<Tensor> to_tensors(const std::string& where, const py::dict& arrays) {
  std::vector<Tensor> tensors;
  for (const auto& [name, array] : arrays) {
    tensors.push_back(to_tensor(where, name.cast<std::string>(), array));
  }
  return tensors;
}

void require_writable(const std::string& where, const py::dict& outputs) {
  for (const auto& [name, array] : outputs) {
    if (!py::reinterpret_borrow<py::array>(array).writeable()) {
      throw std::invalid_argument(where + ": '" + name.cast<std::string>() +
                                  "' is expected to be writable: it receives an output");
    }
  }
}

}  // namespace

std::vector<Batch> to_batches(const ArrayPairs& pairs) {
  std::vector<Batch> batches;
  for (const auto& [inputs, outputs] : pairs) {
    const auto where = "batch " + std::to_string(batches.size());
    const py::dict written(outputs);
    batches.push_back({to_tensors(where + ", inputs", py::dict(inputs)),
                       to_tensors(where + ", outputs", written)});
    require_writable(where + ", outputs", written);
  }
  return batches;
}

}  // namespace jouleforge::bindings
