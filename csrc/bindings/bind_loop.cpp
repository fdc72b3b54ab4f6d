// Trace and run_closed_loop.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include "aliasing.h"
#include "bindings/bindings.h"
#include "bindings/loop_calls.h"
#include "interrupt.h"
#include "loop.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

// A view that keeps its trace alive; nothing is copied.
py::array_t<std::int64_t> stamps(const py::object& self) {
  const auto& trace = self.cast<const Trace&>();
  py::array_t<std::int64_t> view(static_cast<py::ssize_t>(trace.stamps_ns.size()),
                                 trace.stamps_ns.data(), self);
  view.attr("flags").attr("writeable") = false;
  return view;
}

std::chrono::nanoseconds to_ns(const char* name, double seconds) {
  constexpr double kLongest = 1e9;  // 31 years; int64 nanoseconds hold 292
  if (!(seconds >= 0 && seconds <= kLongest)) {
    throw std::invalid_argument(std::string("expected ") + name + " from 0 to 1e9, found " +
                                std::to_string(seconds));
  }
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

Trace run(Runner& runner, const std::vector<std::int64_t>& order, double warmup_s,
          double duration_s, std::size_t min_passes, const std::optional<py::function>& on_warm,
          double sensor_tick_s, double longest_warmup_s) {
  const Schedule schedule{.order = to_order(order),
                          .warmup = to_ns("warmup_s", warmup_s),
                          .longest_warmup = to_ns("longest_warmup_s", longest_warmup_s),
                          .duration = to_ns("duration_s", duration_s),
                          .min_passes = min_passes,
                          .sensor_tick = to_ns("sensor_tick_s", sensor_tick_s)};
  std::function<void()> warm;
  if (on_warm) {
    warm = [&on_warm] {
      const py::gil_scoped_acquire gil;
      (*on_warm)();
    };
  }
  Trace trace;
  {
    const InterruptScope interrupt;
    const py::gil_scoped_release nogil;
    trace = run_closed_loop(runner, schedule, interrupt.flag(), warm);
  }
  if (trace.end == LoopEnd::kInterrupted) raise_interrupt();
  return trace;
}

// Rows of: the run it came before, its begin, its end.
py::array_t<std::int64_t> pauses(const Trace& trace) {
  py::array_t<std::int64_t> table({static_cast<py::ssize_t>(trace.pauses.size()), py::ssize_t{3}});
  auto cells = table.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < cells.shape(0); ++i) {
    const auto& pause = trace.pauses[static_cast<std::size_t>(i)];
    cells(i, 0) = static_cast<std::int64_t>(pause.before);
    cells(i, 1) = pause.begin_ns;
    cells(i, 2) = pause.end_ns;
  }
  return table;
}

}  // namespace

std::vector<std::size_t> to_order(const std::vector<std::int64_t>& batches) {
  std::vector<std::size_t> order;
  order.reserve(batches.size());
  for (const auto batch : batches) {
    if (batch < 0) {
      throw std::invalid_argument("the order names batch " + std::to_string(batch) +
                                  "; the first is 0");
    }
    order.push_back(static_cast<std::size_t>(batch));
  }
  return order;
}

[[noreturn]] void raise_interrupt() {
  if (PyErr_CheckSignals() == 0) PyErr_SetNone(PyExc_KeyboardInterrupt);
  throw py::error_already_set();
}

void bind_loop(py::module_& module) {
  py::class_<Trace>(module, "Trace")
      .def_property_readonly("stamps_ns", &stamps)
      .def_property_readonly("first_start_ns",
                             [](const Trace& trace) { return trace.stamps_ns.front(); })
      .def_property_readonly("pauses", &pauses)
      .def_readonly("passes", &Trace::passes)
      .def_readonly("warmup_runs", &Trace::warmup_runs)
      .def_property_readonly(
          "warmup_s",
          [](const Trace& trace) { return static_cast<double>(trace.warmup_ns) * 1e-9; })
      .def_readonly("steady", &Trace::steady)
      .def_property_readonly("complete",
                             [](const Trace& trace) { return trace.end == LoopEnd::kSchedule; });
  module.def(
      "beats_with",
      [](double tick_s, double batch_s, double window_s) {
        return beats_with(tick_s, batch_s, window_s);  // only their ratios matter
      },
      py::kw_only(), py::arg("tick_s"), py::arg("batch_s"), py::arg("window_s"));
  module.def("run_closed_loop", &run, py::arg("runner"), py::kw_only(), py::arg("order"),
             py::arg("warmup_s"), py::arg("duration_s"), py::arg("min_passes"),
             py::arg("on_warm") = py::none(), py::arg("sensor_tick_s") = 0.0,
             py::arg("longest_warmup_s") = 0.0);
}

}  // namespace jouleforge::bindings
