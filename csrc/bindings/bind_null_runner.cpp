// NullRunner.
#include "bindings/bindings.h"
#include "runners/null.h"

namespace jouleforge::bindings {

namespace py = pybind11;

void bind_null_runner(py::module_& module) {
  py::class_<NullRunner, Runner>(module, "NullRunner")
      .def(py::init<std::size_t>(), py::arg("batches"));
}

}  // namespace jouleforge::bindings
