"""Checkpoint: a fine-tuned encoder on disk, as Hugging Face transformers saves it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jouleforge import digest
from jouleforge.data import data_root
from jouleforge.errors import InputError, MissingError

TaskKind = Literal["single-label", "multi-label", "regression"]

# Families that are tested; others are taken when transformers can route their attention through
# its registry, which is only known once transformers is imported (see modeling.py).
TESTED_FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "electra")

_HEAD_SUFFIX = "ForSequenceClassification"
_PROBLEM_TYPES: dict[str, TaskKind] = {
    "single_label_classification": "single-label",
    "multi_label_classification": "multi-label",
    "regression": "regression",
}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# Everything that decides what the model computes; a README or an optimizer state does not.
_PATTERNS = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "sentencepiece*",
    "spiece.model",
)
_PICKLE_PATTERNS = ("pytorch_model*.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder whose configuration was read and whose weights were found, not loaded."""

    path: Path
    name: str
    digest: str
    family: str
    """`model_type` of the configuration."""
    head: str
    """Class name of the architecture."""
    kind: TaskKind | None
    """What the head answers; `None` when the configuration leaves it to the task."""
    labels: tuple[str, ...]
    """Label names by output index."""
    layers: int
    max_length: int
    """Longest sequence in tokens, special tokens included."""
    pad_id: int
    has_token_types: bool
    pickled: bool
    """Whether the only weights are in a pickle."""

    @classmethod
    def load(
        cls, ref: str | Path, *, revision: str | None = None, needs_weights: bool = True
    ) -> "Checkpoint":
        """Return the checkpoint that a path, a folder's name or a hub id names.

        Looked for in this order: a folder of that path, a folder of that name under
        `$JOULEFORGE_DATA/checkpoints`, the Hugging Face hub. A folder of ONNX files has all of a
        checkpoint but the weights, and is read with `needs_weights=False`.

        Raises:
            InputError: Nothing is found, or it is no supported fine-tuned encoder.
            MissingError: It would have to be downloaded, and `huggingface_hub` is not installed.
        """
        path = _locate(str(ref), revision)
        config = _read_config(path)
        _refuse_remote_code(path, config)
        head = _head(path, config)
        pickled = needs_weights and _weights_are_pickled(path)
        patterns = _PATTERNS + _PICKLE_PATTERNS * pickled
        files = {file for pattern in patterns for file in path.glob(pattern) if file.is_file()}
        return cls(
            path=path,
            name=path.name if Path(str(ref)).is_dir() else str(ref),
            digest=digest.of_files(files, root=path),
            family=str(config.get("model_type")),
            head=head,
            kind=_kind(config),
            labels=_labels(path, config),
            layers=int(config.get("num_hidden_layers") or config.get("n_layers") or 0),
            max_length=_max_length(path, config),
            pad_id=int(config.get("pad_token_id") or 0),
            has_token_types=int(config.get("type_vocab_size") or 0) > 1,
            pickled=pickled,
        )


def _locate(ref: str, revision: str | None) -> Path:
    if Path(ref).expanduser().is_dir():
        return Path(ref).expanduser().resolve()
    root = data_root()
    # A name with a separator could leave the folder of checkpoints; only a bare name is looked up.
    if root is not None and Path(ref).name == ref and (root / "checkpoints" / ref).is_dir():
        return (root / "checkpoints" / ref).resolve()
    if Path(ref).is_absolute() or ref.startswith((".", "~")) or ref.count("/") > 1:
        raise InputError(f"no checkpoint folder at {ref}: expected a folder with a config.json")
    return _download(ref, revision)


def _download(ref: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        raise MissingError(
            f"{ref!r} is no folder, and fetching it from the hub needs huggingface_hub: "
            "pip install 'jouleforge[convert]'"
        ) from error
    try:
        path = Path(snapshot_download(ref, revision=revision, allow_patterns=list(_PATTERNS)))
        if not any((path / name).is_file() for name in _WEIGHTS):
            snapshot_download(ref, revision=revision, allow_patterns=list(_PICKLE_PATTERNS))
        return path
    # The hub's client raises OSError, HTTP and validation errors of several libraries.
    except (OSError, ValueError, HFValidationError, RuntimeError) as error:
        raise InputError(
            f"no checkpoint {ref!r}: it is no folder, no name under $JOULEFORGE_DATA/checkpoints, "
            f"and the hub did not give it: {str(error).splitlines()[0]}"
        ) from error


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path} holds no config.json; expected a folder written by save_pretrained()"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise InputError(f"{file} names no model_type; expected a transformers configuration")
    return config


def _refuse_remote_code(path: Path, config: dict[str, Any]) -> None:
    if config.get("auto_map") and config["model_type"] not in TESTED_FAMILIES:
        raise InputError(
            f"{path} needs Python code of its own ({config['auto_map']}); jouleforge never runs "
            "code that comes with a checkpoint. Use a family that transformers itself implements."
        )


def _head(path: Path, config: dict[str, Any]) -> str:
    heads = config.get("architectures") or []
    found = [head for head in heads if head.endswith(_HEAD_SUFFIX)]
    if not found:
        raise InputError(
            f"{path} has the head {heads or 'of no known kind'}; supported are fine-tuned "
            f"sequence classifiers (…{_HEAD_SUFFIX}: single-label, multi-label, regression) of "
            f"{', '.join(TESTED_FAMILIES)} and other encoders with registered attention"
        )
    return str(found[0])


def _kind(config: dict[str, Any]) -> TaskKind | None:
    named = config.get("problem_type")
    if named is not None:
        return _PROBLEM_TYPES.get(str(named))
    return "regression" if len(config.get("id2label") or {}) == 1 else None


def _labels(path: Path, config: dict[str, Any]) -> tuple[str, ...]:
    # transformers leaves id2label out when there are two labels with default names.
    id2label = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    try:
        by_index = {int(index): str(label) for index, label in id2label.items()}
        return tuple(by_index[index] for index in range(len(by_index)))
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path / 'config.json'}: id2label must number the labels 0, 1, …; found {id2label}"
        ) from error


def _max_length(path: Path, config: dict[str, Any]) -> int:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 1:
        raise InputError(f"{path / 'config.json'} gives no max_position_embeddings")
    # RoBERTa numbers its positions from pad_token_id + 1, so two of 514 are never used.
    if config["model_type"] in ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl"):
        positions -= int(config.get("pad_token_id") or 0) + 1
    return positions


def _weights_are_pickled(path: Path) -> bool:
    if any((path / name).is_file() for name in _WEIGHTS):
        return False
    if any((path / name).is_file() for name in _PICKLED):
        return True
    raise InputError(f"{path} holds no weights; expected {_WEIGHTS[0]}")
