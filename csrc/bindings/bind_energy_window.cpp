// EnergyWindow, work_between and SparedCore: what all meters have in common.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "cores.h"
#include "energy/window.h"
#include "energy/work.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

WorkDone work(const py::array_t<std::int64_t, py::array::c_style>& stamps_ns, std::size_t batches,
              std::int64_t begin_ns, std::int64_t end_ns, std::int64_t slack_ns) {
  const std::span stamps(stamps_ns.data(), static_cast<std::size_t>(stamps_ns.size()));
  return work_between(stamps, batches, begin_ns, end_ns, slack_ns);
}

}  // namespace

void bind_energy_window(py::module_& module) {
  py::class_<EnergyWindow>(module, "EnergyWindow")
      .def_readonly("begin_ns", &EnergyWindow::begin_ns)
      .def_readonly("end_ns", &EnergyWindow::end_ns)
      .def_readonly("joules", &EnergyWindow::joules)
      .def_readonly("reason", &EnergyWindow::reason)
      .def_readonly("uncertainty", &EnergyWindow::uncertainty)
      .def_property_readonly("window_s", &EnergyWindow::seconds);
  py::class_<WorkDone>(module, "WorkDone")
      .def_readonly("passes", &WorkDone::passes)
      .def_readonly("reason", &WorkDone::reason);
  module.def("work_between", &work, py::arg("stamps_ns"), py::kw_only(), py::arg("batches"),
             py::arg("begin_ns"), py::arg("end_ns"), py::arg("slack_ns") = 0);
  py::class_<SparedCore>(module, "SparedCore")
      .def(py::init<>())
      .def_property_readonly("cpu", &SparedCore::cpu);
}

}  // namespace jouleforge::bindings
