// Rapl, RaplReading and RaplError.
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bindings/bindings.h"
#include "energy/rapl.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

const char* scope_name(const RaplReading& reading) {
  return reading.scope == RaplScope::kDram ? "dram" : "cpu_package";
}

}  // namespace

void bind_rapl(py::module_& module) {
  py::register_exception<RaplError>(module, "RaplError", PyExc_RuntimeError);
  py::class_<RaplReading, EnergyWindow>(module, "RaplReading")
      .def_readonly("domain", &RaplReading::domain)
      .def_property_readonly("scope", &scope_name);
  py::class_<Rapl>(module, "Rapl")
      .def(py::init([](const std::filesystem::path& sysfs) {
             RaplOptions options;
             options.sysfs = sysfs;
             return std::make_unique<Rapl>(options);
           }),
           py::kw_only(), py::arg("sysfs") = "/sys")
      .def_property_readonly("source", &Rapl::source)
      .def_property_readonly("domains", &Rapl::domains)
      .def("start", &Rapl::start, py::call_guard<py::gil_scoped_release>())
      .def("stop", &Rapl::stop, py::call_guard<py::gil_scoped_release>());
}

}  // namespace jouleforge::bindings
