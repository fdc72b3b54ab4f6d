// OvRunner.
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <string>

#include "bindings/arrays.h"
#include "bindings/bindings.h"
#include "runners/ov.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

std::unique_ptr<OvRunner> make(const std::filesystem::path& library,
                               const std::filesystem::path& model, int threads,
                               const std::string& precision,
                               const std::map<std::string, std::string>& config) {
  return make_without_gil<OvRunner>(
      OvOptions{.library = library.string(),
                .model = model.string(),
                .compilation = {.threads = threads, .precision = precision, .entries = config}});
}

}  // namespace

void bind_ov_runner(py::module_& module) {
  py::class_<OvRunner, Runner>(module, "OvRunner")
      .def(py::init(&make), py::arg("library"), py::arg("model"), py::kw_only(), py::arg("threads"),
           py::arg("precision"), py::arg("config") = std::map<std::string, std::string>{})
      .def_property_readonly("input_specs", &OvRunner::input_specs)
      .def_property_readonly("output_specs", &OvRunner::output_specs)
      .def_property_readonly("version", &OvRunner::version)
      .def("get_property", &OvRunner::get_property, py::arg("key"))
      .def(
          "prepare",
          [](OvRunner& runner, const ArrayPairs& batches) { runner.prepare(to_batches(batches)); },
          py::arg("batches"));
}

}  // namespace jouleforge::bindings
