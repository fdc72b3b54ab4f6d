// CallableRunner: takes the GIL for each call, which its times therefore include.
#include <pybind11/functional.h>

#include "bindings/bindings.h"
#include "runners/callable.h"

namespace jouleforge::bindings {

namespace py = pybind11;

void bind_callable_runner(py::module_& module) {
  py::class_<CallableRunner, Runner>(module, "CallableRunner")
      .def(py::init([](py::function step, std::size_t batches) {
             auto call = [step = std::move(step)](std::size_t batch) {
               const py::gil_scoped_acquire gil;
               step(batch);
             };
             return std::make_unique<CallableRunner>(std::move(call), batches);
           }),
           py::arg("step"), py::arg("batches"));
}

}  // namespace jouleforge::bindings
