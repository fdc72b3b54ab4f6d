// EnergyWindow, work_between and SparedCore: what all meters have in common.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "cores.h"
#include "energy/window.h"
#include "work.h"

namespace jouleforge::bindings {

namespace py = pybind11;

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
      .def_readonly("paused_s", &WorkDone::paused_s)
      .def_readonly("reason", &WorkDone::reason);
  module.def(
      "work_between",
      [](const Trace& trace, std::size_t batches, std::int64_t begin_ns, std::int64_t end_ns,
         std::int64_t slack_ns) {
        return work_between(trace, batches, {begin_ns, end_ns}, slack_ns);
      },
      py::arg("trace"), py::kw_only(), py::arg("batches"), py::arg("begin_ns"), py::arg("end_ns"),
      py::arg("slack_ns") = 0);
  py::class_<SparedCore>(module, "SparedCore")
      .def(py::init<>())
      .def_property_readonly("cpu", &SparedCore::cpu);
}

}  // namespace jouleforge::bindings
