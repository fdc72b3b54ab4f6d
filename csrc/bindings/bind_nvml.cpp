// NvmlDevice, NvmlError and nvml_device_count.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "energy/nvml.h"

namespace jouleforge::bindings {

namespace py = pybind11;

void bind_nvml(py::module_& module) {
  py::register_exception<NvmlError>(module, "NvmlError", PyExc_RuntimeError);
  module.def("nvml_device_count", &nvml_device_count, py::arg("library") = kNvmlLibrary,
             py::call_guard<py::gil_scoped_release>());
  py::class_<NvmlDevice>(module, "NvmlDevice")
      .def(py::init<const NvmlDevice::Which&, const std::string&>(), py::arg("device"),
           py::kw_only(), py::arg("library") = kNvmlLibrary,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("uuid", &NvmlDevice::uuid)
      .def_property_readonly("name", &NvmlDevice::name)
      .def_property_readonly("driver", &NvmlDevice::driver)
      .def_property_readonly("nvml_version", &NvmlDevice::nvml_version)
      .def_property_readonly("is_vgpu", &NvmlDevice::is_vgpu)
      .def_property_readonly("mig_enabled", &NvmlDevice::mig_enabled)
      .def_property_readonly("temperature_c", &NvmlDevice::temperature_c)
      .def("instant_power_mw", &NvmlDevice::instant_power_mw,
           py::call_guard<py::gil_scoped_release>())
      .def("answers",
           [](const NvmlDevice& device) {
             py::dict found;
             for (const auto& [call, status] : device.answers()) found[py::str(call)] = status;
             return found;
           })
      .def("total_energy_mj", &NvmlDevice::total_energy_mj,
           py::call_guard<py::gil_scoped_release>());
}

}  // namespace jouleforge::bindings
