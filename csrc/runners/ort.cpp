// The ONNX Runtime runner.
#include "runners/ort.h"

#include <algorithm>
#include <utility>

namespace jouleforge {
namespace {

using namespace ort;  // the slots, which are many

bool any_on_device(const SessionConfig& config) {
  return std::ranges::any_of(config.providers, [](const Provider& provider) {
    return provider.name != "CPUExecutionProvider";
  });
}

const OrtOptions& require_sane(const OrtOptions& options) {
  require_threads(options.session.threads);
  return options;
}

}  // namespace

OrtRunner::OrtRunner(const OrtOptions& options)
    : library_(require_sane(options).library),
      session_(library_.make_session(options.model, options.session)),
      memory_(
          library_.make<OwnedMemoryInfo>(kCreateCpuMemoryInfo, kDeviceAllocator, kMemoryDefault)),
      inputs_(library_.input_specs(session_.get())),
      outputs_(library_.output_specs(session_.get())),
      on_device_(any_on_device(options.session)) {}

void OrtRunner::prepare(std::vector<Batch> batches) {
  require_fit(batches, inputs_, outputs_);
  std::vector<Bound> bound;
  bound.reserve(batches.size());
  for (auto& batch : batches) bound.push_back(bind(std::move(batch)));
  bound_ = std::move(bound);
}

OrtRunner::Bound OrtRunner::bind(Batch batch) const {
  Bound bound{.batch = std::move(batch),
              .inputs = {},
              .outputs = {},
              .binding = library_.make<OwnedIoBinding>(kCreateIoBinding, session_.get())};
  for (const auto& tensor : bound.batch.inputs) {
    bound.inputs.push_back(library_.make_value(memory_.get(), tensor));
  }
  for (const auto& tensor : bound.batch.outputs) {
    const auto& value = bound.outputs.emplace_back(library_.make_value(memory_.get(), tensor));
    library_.check(
        library_.api()[kBindOutput](bound.binding.get(), tensor.name.c_str(), value.get()));
  }
  bind_inputs(bound);
  return bound;
}

void OrtRunner::bind_inputs(const Bound& bound) const {
  for (std::size_t i = 0; i < bound.inputs.size(); ++i) {
    library_.check(library_.api()[kBindInput](
        bound.binding.get(), bound.batch.inputs[i].name.c_str(), bound.inputs[i].get()));
  }
}

void OrtRunner::run(std::size_t batch) {
  require_batch(batch, bound_.size());
  auto& bound = bound_[batch];
  const auto& api = library_.api();
  if (on_device_) {
    bind_inputs(bound);
    library_.check(api[kSynchronizeBoundInputs](bound.binding.get()));
  }
  library_.check(api[kRunWithBinding](session_.get(), nullptr, bound.binding.get()));
  if (on_device_) library_.check(api[kSynchronizeBoundOutputs](bound.binding.get()));
  if (!bound.verified) verify(bound);
}

// The first run of each batch proves that its outputs are where the caller will look for them.
void OrtRunner::verify(Bound& bound) const {
  const auto addresses = library_.output_addresses(bound.binding.get());
  const auto same = [](const void* address, const Tensor& tensor) {
    return address == tensor.data || tensor.bytes == 0;
  };
  if (!std::ranges::equal(addresses, bound.batch.outputs, same)) {
    throw RunnerError("ONNX Runtime " + version() +
                      " left the outputs outside the buffers bound for them");
  }
  bound.verified = true;
}

}  // namespace jouleforge
