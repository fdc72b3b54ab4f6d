// serve_queries.
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/loop_calls.h"
#include "interrupt.h"
#include "queries.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

Wait to_wait(const std::string& name) {
  if (name == "spin") return Wait::kSpin;
  if (name == "block") return Wait::kBlock;
  throw std::invalid_argument("expected wait to be 'spin' or 'block', found '" + name + "'");
}

Trace serve(Runner& runner, const std::vector<std::int64_t>& order,
            std::vector<std::int64_t> due_ns, const std::string& wait) {
  const Arrivals arrivals{
      .order = to_order(order), .due_ns = std::move(due_ns), .wait = to_wait(wait)};
  Trace trace;
  {
    const InterruptScope interrupt;
    const py::gil_scoped_release nogil;
    MonotonicTimeline timeline;
    trace = serve_queries(runner, arrivals, interrupt.flag(), timeline);
  }
  if (trace.end == LoopEnd::kInterrupted) raise_interrupt();
  return trace;
}

}  // namespace

void bind_queries(py::module_& module) {
  module.def("serve_queries", &serve, py::arg("runner"), py::kw_only(), py::arg("order"),
             py::arg("due_ns"), py::arg("wait"));
}

}  // namespace jouleforge::bindings
