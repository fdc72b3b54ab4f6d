"""The PyTorch module of a checkpoint, shared by the exporter and the PyTorch runner."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from jouleforge.checkpoint import TESTED_FAMILIES, Checkpoint
from jouleforge.errors import InputError


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
