"""The PyTorch module of a checkpoint, shared by the exporter and the PyTorch runner."""

import os
import shutil
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from jouleforge.checkpoint import TESTED_FAMILIES, Checkpoint
from jouleforge.errors import InputError, MissingError
from jouleforge.recipe import Recipe


def quieten() -> None:
    """Have transformers draw no bars, which would stand among our own lines."""
    transformers_logging.disable_progress_bar()


def load_model(
    checkpoint: Checkpoint, *, attention: str, allow_pickle: bool = False
) -> PreTrainedModel:
    """Return the checkpoint's module in float32, in evaluation mode.

    Args:
        checkpoint: What to load; its own Python code is never run.
        attention: Name in transformers' attention registry.
        allow_pickle: Read `pytorch_model.bin` where there are no safetensors. Unpickling runs
            whatever code the file holds.

    Raises:
        InputError: The weights are a pickle, do not fit the configuration, or the architecture
            does not take its attention from the registry.
    """
    if checkpoint.pickled and not allow_pickle:
        raise InputError(
            f"{checkpoint.path} holds its weights as a pickle only, which can run any code when "
            "it is read. Convert it to safetensors, or pass --allow-pickle if you trust its author."
        )
    config = _config(checkpoint)
    model, report = _from_pretrained(checkpoint, config, attention)
    unfit = sorted(report["missing_keys"]) + [str(key) for key in report["mismatched_keys"]]
    if unfit:
        raise InputError(
            f"{checkpoint.path}: the weights do not fit {checkpoint.head}; missing or of another "
            f"shape: {', '.join(unfit[:5])}. Is it fine-tuned, or only pre-trained?"
        )
    model.eval()
    return model


def _config(checkpoint: Checkpoint) -> Any:
    try:
        config = AutoConfig.from_pretrained(checkpoint.path, trust_remote_code=False)
    except (ValueError, KeyError) as error:
        raise InputError(
            f"transformers does not know the architecture {checkpoint.family!r} of "
            f"{checkpoint.path}; supported: {', '.join(TESTED_FAMILIES)}"
        ) from error
    known = AutoModelForSequenceClassification._model_mapping
    head = known.get(type(config), None)
    if head is None or not getattr(head, "_supports_attention_backend", False):
        raise InputError(
            f"the architecture {checkpoint.family!r} does not take its attention from "
            "transformers' registry, so it cannot be exported exactly; supported: "
            f"{', '.join(TESTED_FAMILIES)} and other encoders that do"
        )
    if getattr(config, "is_decoder", False) or getattr(config, "is_encoder_decoder", False):
        raise InputError(f"{checkpoint.path} is a decoder; expected an encoder")
    return config


def _from_pretrained(
    checkpoint: Checkpoint, config: Any, attention: str
) -> tuple[PreTrainedModel, dict[str, Any]]:
    verbosity = transformers_logging.get_verbosity()
    # What it would print about missing weights is raised as an error by the caller.
    transformers_logging.set_verbosity_error()
    quieten()
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            checkpoint.path,
            config=config,
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=not checkpoint.pickled,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{checkpoint.path}: the weights cannot be read: {error}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    return model, report


def load_engine(folder: Checkpoint, recipe: Recipe) -> PreTrainedModel:
    """Return the module of a stored PyTorch engine, in its precision and not yet compiled.

    Raises:
        InputError: The weights do not fit the configuration.
    """
    model = load_model(folder, attention=recipe.attention)
    if recipe.precision == "bf16":
        keep_in_bfloat16(model)
    return model


def keep_in_bfloat16(model: PreTrainedModel) -> None:
    """Turn the encoder's weights into bfloat16, and leave those of the head in float32.

    With 8 bits of mantissa, two logits near 4 that differ by less than 0.03 may come out equal. The
    head is a few rows of work, so it is spared that: whatever reaches it is widened first.
    """
    encoder = model.base_model
    inside = {id(module) for module in encoder.modules()}
    # Parameters only: buffers such as rotary frequencies are meant to stay as they were made.
    for parameter in encoder.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    for module in model.modules():
        if id(module) not in inside and next(module.parameters(recurse=False), None) is not None:
            module.register_forward_pre_hook(_widened)


def _widened(module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    del module
    return tuple(
        value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for value in inputs
    )


def compile_module(model: PreTrainedModel) -> Any:
    """Return the module as `torch.compile` makes it, with its weights frozen into the code.

    One graph serves every batch size and length from 2 up; sizes of 1 get one of their own. A
    compilation for each shape is no faster on processors: within 1 % in bfloat16, slower in
    float32 (`minilm-sst2`, buckets of 16 to 64 tokens). It happens at the first call, which must be
    in inference mode.

    Raises:
        MissingError: There is no C++ compiler, which Inductor needs whenever it compiles.
    """
    compiler = os.environ.get("CXX", "g++")  # the one that Inductor calls
    if shutil.which(compiler) is None:
        raise MissingError(
            f"torch.compile needs a C++ compiler, and {compiler} is not on the PATH: install it "
            "(apt-get install g++), set CXX to another, or leave `compiled` out"
        )
    # The limit counts the graphs of all modules of one class; a module needs some four, and a
    # process may open several. With `fullgraph`, running into it is an error and not a fallback.
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    return torch.compile(model, fullgraph=True, dynamic=True, options={"freezing": True})
