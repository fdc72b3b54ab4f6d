// TensorSpec.
#include "bindings/bindings.h"
#include "runners/tensor.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

py::tuple shape(const TensorSpec& spec) {
  py::list sizes;
  for (const auto& axis : spec.shape) {
    if (axis.size < 0 && !axis.symbol.empty()) {
      sizes.append(axis.symbol);
    } else {
      sizes.append(axis.size);
    }
  }
  return py::tuple(sizes);
}

}  // namespace

void bind_tensor_spec(py::module_& module) {
  py::class_<TensorSpec>(module, "TensorSpec")
      .def_readonly("name", &TensorSpec::name)
      .def_readonly("dtype", &TensorSpec::dtype)
      .def_property_readonly("shape", &shape)
      .def("__repr__", [](const TensorSpec& spec) { return spec.name + ": " + to_string(spec); });
}

}  // namespace jouleforge::bindings
