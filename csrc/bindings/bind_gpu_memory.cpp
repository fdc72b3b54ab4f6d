// GpuMemoryWatch.
#include <pybind11/stl.h>

#include <chrono>
#include <memory>

#include "bindings/bindings.h"
#include "energy/gpu_memory.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

std::unique_ptr<GpuMemoryWatch> make(const NvmlDevice::Which& device, const std::string& library,
                                     std::optional<int> cpu) {
  return make_without_gil<GpuMemoryWatch>(device, library, cpu, std::chrono::seconds(1));
}

}  // namespace

void bind_gpu_memory(py::module_& module) {
  py::class_<GpuMemoryWatch>(module, "GpuMemoryWatch")
      .def(py::init(&make), py::arg("device"), py::kw_only(), py::arg("library") = kNvmlLibrary,
           py::arg("cpu") = py::none())
      .def_property_readonly("loaded_bytes", &GpuMemoryWatch::loaded)
      .def("stop", &GpuMemoryWatch::stop, py::call_guard<py::gil_scoped_release>());
}

}  // namespace jouleforge::bindings
