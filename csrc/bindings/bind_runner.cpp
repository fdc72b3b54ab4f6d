// Runner and RunnerError.
#include "bindings/bindings.h"
#include "runner.h"

namespace jouleforge::bindings {

namespace py = pybind11;

void bind_runner(py::module_& module) {
  py::register_exception<RunnerError>(module, "RunnerError", PyExc_RuntimeError);
  py::class_<Runner>(module, "Runner")
      .def_property_readonly("batches", &Runner::batches)
      .def("run", &Runner::run, py::arg("batch"), py::call_guard<py::gil_scoped_release>());
}

}  // namespace jouleforge::bindings
