// OrtRunner.
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/bindings.h"
#include "runners/ort.h"

namespace jouleforge::bindings {

namespace py = pybind11;

namespace {

std::unique_ptr<OrtRunner> make(
    const std::filesystem::path& library, const std::filesystem::path& model, int threads,
    const std::vector<std::pair<std::string, std::map<std::string, std::string>>>& providers,
    const std::map<std::string, std::string>& config, int optimization_level) {
  OrtOptions options{.library = library.string(), .model = model.string(), .session = {}};
  options.session.threads = threads;
  options.session.entries = config;
  options.session.optimization_level = optimization_level;
  for (const auto& [name, values] : providers) {
    options.session.providers.push_back({.name = name, .options = values});
  }
  return make_without_gil<OrtRunner>(options);
}

}  // namespace

void bind_ort_runner(py::module_& module) {
  using Options = std::map<std::string, std::string>;
  py::class_<OrtRunner, Runner>(module, "OrtRunner")
      .def(py::init(&make), py::arg("library"), py::arg("model"), py::kw_only(), py::arg("threads"),
           py::arg("providers") = std::vector<std::pair<std::string, Options>>{},
           py::arg("config") = Options{}, py::arg("optimization_level") = 99)
      .def_property_readonly("input_specs", &OrtRunner::input_specs)
      .def_property_readonly("output_specs", &OrtRunner::output_specs)
      .def_property_readonly("version", &OrtRunner::version)
      .def(
          "prepare",
          [](OrtRunner& runner, const ArrayPairs& batches) { runner.prepare(to_batches(batches)); },
          py::arg("batches"));
}

}  // namespace jouleforge::bindings
