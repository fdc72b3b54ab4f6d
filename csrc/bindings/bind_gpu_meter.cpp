// CounterMeter, PowerMeter and their readings.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>

#include "bindings/bindings.h"
#include "energy/gpu_meter.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

std::chrono::nanoseconds to_ns(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

template <typename Meter>
void start(Meter& meter, double lasts_s, double pre_roll_s, double longest_pre_roll_s,
           double shortest_s, bool part_time, bool idle, double edge_every_s, double read_every_s,
           std::optional<int> cpu) {
  meter.start({.lasts = to_ns(lasts_s),
               .pre_roll = to_ns(pre_roll_s),
               .longest_pre_roll = to_ns(longest_pre_roll_s),
               .shortest = to_ns(shortest_s),
               .part_time = part_time,
               .idle = idle,
               .edge_every = to_ns(edge_every_s),
               .read_every = to_ns(read_every_s)},
              cpu);
}

// In s, as everything is in Python; absent until a period was found.
template <double Tick::* value_ns>
std::optional<double> tick_s(const GpuReading& reading) {
  if (reading.tick.period_ns <= 0) return {};
  return reading.tick.*value_ns * 1e-9;
}

// Rows of: the instant [ns], the energy until then [mJ].
py::array_t<std::int64_t> edges(const GpuReading& reading) {
  py::array_t<std::int64_t> table({static_cast<py::ssize_t>(reading.edges.size()), py::ssize_t{2}});
  auto cells = table.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < cells.shape(0); ++i) {
    const auto& edge = reading.edges[static_cast<std::size_t>(i)];
    cells(i, 0) = edge.at_ns();
    cells(i, 1) = static_cast<std::int64_t>(edge.energy_mj);
  }
  return table;
}

template <typename Meter>
void bind_meter(py::module_& module, const char* name) {
  py::class_<Meter>(module, name)
      .def(py::init<const NvmlDevice::Which&, const std::string&>(), py::arg("device"),
           py::kw_only(), py::arg("library") = kNvmlLibrary,
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("device", &Meter::device, py::return_value_policy::reference_internal)
      .def("start", &start<Meter>, py::kw_only(), py::arg("lasts_s"), py::arg("pre_roll_s") = 2.0,
           py::arg("longest_pre_roll_s") = 10.0, py::arg("shortest_s") = 2.0,
           py::arg("part_time") = false, py::arg("idle") = false, py::arg("edge_every_s") = 0.0,
           py::arg("read_every_s") = 0.0, py::arg("cpu") = py::none(),
           py::call_guard<py::gil_scoped_release>())
      .def("stop", &Meter::stop, py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_gpu_meter(py::module_& module) {
  py::class_<GpuFacts>(module, "GpuFacts")
      .def_readonly("power_limit_mw", &GpuFacts::power_limit_mw)
      .def_readonly("temperature_begin_c", &GpuFacts::temperature_begin_c)
      .def_readonly("temperature_end_c", &GpuFacts::temperature_end_c)
      .def_readonly("sm_clock_min_mhz", &GpuFacts::sm_clock_min_mhz)
      .def_readonly("sm_clock_median_mhz", &GpuFacts::sm_clock_median_mhz)
      .def_readonly("clock_events", &GpuFacts::clock_events)
      .def_readonly("thermal_violation_ns", &GpuFacts::thermal_violation_ns)
      .def_readonly("power_violation_ns", &GpuFacts::power_violation_ns)
      .def_readonly("average_power_w", &GpuFacts::average_power_w)
      .def_readonly("power_capped", &GpuFacts::power_capped);
  py::class_<GpuReading, EnergyWindow>(module, "GpuReading")
      .def_property_readonly("tick_s", &tick_s<&Tick::period_ns>)
      .def_property_readonly("tick_p10_s", &tick_s<&Tick::p10_ns>)
      .def_property_readonly("tick_p90_s", &tick_s<&Tick::p90_ns>)
      .def_property_readonly("tick_jitter_s", &tick_s<&Tick::jitter_ns>)
      .def_property_readonly("read_s", &tick_s<&Tick::read_ns>)
      .def_property_readonly("missed_ticks",
                             [](const GpuReading& reading) { return reading.tick.missed; })
      .def_readonly("begin_bracket_ns", &GpuReading::begin_bracket_ns)
      .def_readonly("end_bracket_ns", &GpuReading::end_bracket_ns)
      .def_readonly("reads", &GpuReading::reads)
      .def_property_readonly("edges", &edges)
      .def_readonly("drift_per_s", &GpuReading::drift_per_s)
      .def_readonly("facts", &GpuReading::facts);
  bind_meter<CounterMeter>(module, "CounterMeter");
  bind_meter<PowerMeter>(module, "PowerMeter");
}

}  // namespace jouleforge::bindings
