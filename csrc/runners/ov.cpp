// The OpenVINO runner.
#include "runners/ov.h"

#include <utility>

namespace jouleforge {
namespace {

const OvOptions& require_sane(const OvOptions& options) {
  require_threads(options.compilation.threads);
  return options;
}

}  // namespace

OvRunner::OvRunner(const OvOptions& options)
    : library_(require_sane(options).library),
      model_(library_.compile(options.model, options.compilation)),
      inputs_(library_.input_specs(model_.get())),
      outputs_(library_.output_specs(model_.get())) {}

std::string OvRunner::get_property(const std::string& key) const {
  return library_.property(model_.get(), key);
}

void OvRunner::prepare(std::vector<Batch> batches) {
  require_fit(batches, inputs_, outputs_);
  std::vector<Bound> bound;
  bound.reserve(batches.size());
  for (auto& batch : batches) bound.push_back(bind(std::move(batch)));
  bound_ = std::move(bound);
}

// One request per batch: its tensors stay set, and a run is one call.
OvRunner::Bound OvRunner::bind(Batch batch) const {
  const auto& api = library_.api();
  Bound bound{.batch = std::move(batch),
              .request = library_.make(api.infer_request_free,
                                       api.compiled_model_create_infer_request, model_.get())};
  const auto set = [&](const Tensor& tensor) {  // the request keeps the tensor
    library_.check(api.infer_request_set_tensor(bound.request.get(), tensor.name.c_str(),
                                                library_.make_tensor(tensor).get()));
  };
  for (const auto& tensor : bound.batch.inputs) set(tensor);
  for (const auto& tensor : bound.batch.outputs) set(tensor);
  return bound;
}

void OvRunner::run(std::size_t batch) {
  require_batch(batch, bound_.size());
  auto& bound = bound_[batch];
  if (bound.verified) [[likely]] {
    library_.check(library_.api().infer_request_infer(bound.request.get()));
  } else {
    run_verified(bound);
  }
}

// The first run of each batch proves that its outputs are where the caller will look for them. It
// is asynchronous because `infer` of a model with one thread returns success when it failed
// (OpenVINO 2026.4), while `wait` tells; what fails then is shapes, which stay as they are bound.
void OvRunner::run_verified(Bound& bound) const {
  library_.check(library_.api().infer_request_start_async(bound.request.get()));
  library_.check(library_.api().infer_request_wait(bound.request.get()));
  for (const auto& tensor : bound.batch.outputs) {
    library_.require_bound(bound.request.get(), tensor);
  }
  bound.verified = true;
}

}  // namespace jouleforge
