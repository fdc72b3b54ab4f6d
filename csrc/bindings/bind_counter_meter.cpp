// CounterMeter, CounterReading and what it says about the counter and the GPU.
#include <pybind11/stl.h>

#include <chrono>

#include "bindings/bindings.h"
#include "energy/counter_meter.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

std::chrono::nanoseconds to_ns(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

void start(CounterMeter& meter, double lasts_s, double pre_roll_s, double longest_pre_roll_s,
           double shortest_s, std::optional<int> cpu) {
  meter.start({.lasts = to_ns(lasts_s),
               .pre_roll = to_ns(pre_roll_s),
               .longest_pre_roll = to_ns(longest_pre_roll_s),
               .shortest = to_ns(shortest_s)},
              cpu);
}

// In s, as everything is in Python; absent until a period was found.
template <double Tick::* value_ns>
std::optional<double> tick_s(const CounterReading& reading) {
  if (reading.tick.period_ns <= 0) return {};
  return reading.tick.*value_ns * 1e-9;
}

}  // namespace

void bind_counter_meter(py::module_& module) {
  py::class_<GpuFacts>(module, "GpuFacts")
      .def_readonly("power_limit_mw", &GpuFacts::power_limit_mw)
      .def_readonly("temperature_begin_c", &GpuFacts::temperature_begin_c)
      .def_readonly("temperature_end_c", &GpuFacts::temperature_end_c)
      .def_readonly("sm_clock_min_mhz", &GpuFacts::sm_clock_min_mhz)
      .def_readonly("sm_clock_median_mhz", &GpuFacts::sm_clock_median_mhz)
      .def_readonly("clock_events", &GpuFacts::clock_events)
      .def_readonly("thermal_violation_ns", &GpuFacts::thermal_violation_ns)
      .def_readonly("power_violation_ns", &GpuFacts::power_violation_ns)
      .def_readonly("power_capped", &GpuFacts::power_capped);
  py::class_<CounterReading, EnergyWindow>(module, "CounterReading")
      .def_property_readonly("tick_s", &tick_s<&Tick::period_ns>)
      .def_property_readonly("tick_p10_s", &tick_s<&Tick::p10_ns>)
      .def_property_readonly("tick_p90_s", &tick_s<&Tick::p90_ns>)
      .def_property_readonly("tick_jitter_s", &tick_s<&Tick::jitter_ns>)
      .def_property_readonly("read_s", &tick_s<&Tick::read_ns>)
      .def_property_readonly("missed_ticks",
                             [](const CounterReading& reading) { return reading.tick.missed; })
      .def_readonly("begin_bracket_ns", &CounterReading::begin_bracket_ns)
      .def_readonly("end_bracket_ns", &CounterReading::end_bracket_ns)
      .def_readonly("reads", &CounterReading::reads)
      .def_readonly("drift_per_s", &CounterReading::drift_per_s)
      .def_readonly("facts", &CounterReading::facts);
  py::class_<CounterMeter>(module, "CounterMeter")
      .def(py::init<const NvmlDevice::Which&, const std::string&>(), py::arg("device"),
           py::kw_only(), py::arg("library") = kNvmlLibrary,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("device", &CounterMeter::device,
                             py::return_value_policy::reference_internal)
      .def("start", &start, py::kw_only(), py::arg("lasts_s"), py::arg("pre_roll_s") = 2.0,
           py::arg("longest_pre_roll_s") = 10.0, py::arg("shortest_s") = 2.0,
           py::arg("cpu") = py::none(), py::call_guard<py::gil_scoped_release>())
      .def("stop", &CounterMeter::stop, py::call_guard<py::gil_scoped_release>());
}

}  // namespace jouleforge::bindings
