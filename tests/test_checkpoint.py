"""Reading a checkpoint's folder: what is accepted, and what each refusal says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jouleforge.checkpoint import Checkpoint
from jouleforge.errors import InputError

MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def changed(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a tiny BERT whose configuration has other values."""

    def change(**values: object) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(make_checkpoint("bert"), folder)
        if values:
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, **values}))
        return folder

    return change


def test_configuration_tells_what_the_model_is(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = Checkpoint.load(make_checkpoint("bert"))
    assert checkpoint.family == "bert"
    assert checkpoint.layers == 2
    assert checkpoint.max_length == 64
    assert checkpoint.has_token_types
    assert checkpoint.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert not checkpoint.pickled


def test_roberta_cannot_use_its_first_positions(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = Checkpoint.load(make_checkpoint("roberta"))
    assert checkpoint.max_length == 64
    assert checkpoint.pad_id == 1
    assert not checkpoint.has_token_types


def test_digest_follows_the_weights_and_not_the_readme(
    make_checkpoint: MakeCheckpoint, changed: Callable[..., Path]
) -> None:
    first = Checkpoint.load(make_checkpoint("bert"))
    folder = changed()
    (folder / "README.md").write_text("words")
    assert Checkpoint.load(folder).digest == first.digest
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert Checkpoint.load(folder).digest != first.digest


def test_name_under_the_data_folder_is_enough(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(make_checkpoint("bert"), tmp_path / "checkpoints" / "mine")
    monkeypatch.setenv("JOULEFORGE_DATA", str(tmp_path))
    assert Checkpoint.load("mine").name == "mine"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"architectures": ["BertForQuestionAnswering"]}, r"supported are fine-tuned sequence"),
        ({"architectures": ["BertModel"]}, r"BertModel.*supported are"),
        ({"architectures": None}, "no known kind"),
        ({"max_position_embeddings": None}, "max_position_embeddings"),
        ({"id2label": {"0": "a", "2": "b"}}, "number the labels"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "m.M"}}, "never runs"),
    ],
)
def test_configuration_that_is_not_supported_says_what_is(
    changed: Callable[..., Path], values: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Checkpoint.load(changed(**values))


def test_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config.json; expected a folder written by"):
        Checkpoint.load(tmp_path)


def test_configuration_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        Checkpoint.load(tmp_path)


def test_folder_without_weights_is_refused(changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no weights; expected model.safetensors"):
        Checkpoint.load(folder)


@pytest.mark.parametrize("ref", ["/nowhere/at/all", "./nowhere", "a/b/c"])
def test_path_that_is_not_there_is_not_looked_up_elsewhere(ref: str) -> None:
    with pytest.raises(InputError, match="no checkpoint folder at"):
        Checkpoint.load(ref)


def test_unknown_name_says_where_it_was_looked_for() -> None:
    with pytest.raises(InputError, match=r"no name under \$JOULEFORGE_DATA/checkpoints"):
        Checkpoint.load("jouleforge-tests/there-is-no-such-model")
