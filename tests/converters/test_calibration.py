"""Ranges: statistics gathered while values stream by, and what collectors make of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from tasks import calibration_lines, write_task
from tokenizers import Tokenizer

from jouleforge.converters import calibration
from jouleforge.converters.calibration import cache
from jouleforge.converters.calibration.statistics import BINS, TensorStatistics
from jouleforge.errors import GateError, InputError

MakeCheckpoint = Callable[..., Path]
LABELS = ("LABEL_0", "LABEL_1", "LABEL_2")


def seen(values: np.ndarray, parts: int = 7) -> TensorStatistics:
    statistics = TensorStatistics()
    for part in np.array_split(values.astype(np.float32), parts):
        statistics.update(part)
    return statistics


def test_streamed_statistics_are_those_of_all_values_at_once() -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=(7000, 6)) * np.geomspace(0.01, 30, 7000)[:, None]).astype("f4")
    found = seen(values)
    assert (found.low, found.high) == (values.min(), values.max())
    np.testing.assert_array_equal(found.channel_max, np.abs(values).max(axis=0))
    counts, _ = np.histogram(np.abs(values), bins=BINS, range=(0, found.bound))
    ours = found.histogram()
    assert ours.sum() == pytest.approx(values.size)
    # The running bins are 16 to 32 times finer, so few values change places at the borders.
    assert np.abs(np.cumsum(ours) - np.cumsum(counts)).max() < 0.002 * values.size


def test_memory_does_not_grow_with_what_is_seen() -> None:
    found = seen(np.random.default_rng(0).normal(size=(4000, 4)), parts=1)
    size = sum(array.nbytes for array in found.arrays().values()) + found.sample.nbytes
    for _ in range(20):
        found.update(np.random.default_rng(1).normal(size=(4000, 4)).astype(np.float32) * 100)
    again = sum(array.nbytes for array in found.arrays().values()) + found.sample.nbytes
    assert again == size


def test_sample_is_drawn_from_all_that_was_seen() -> None:
    values = np.arange(20_000, dtype=np.float32)[:, None]
    sample = seen(values, parts=40).sample.ravel()
    assert len(sample) == len(set(sample.tolist())) == 256
    assert 8000 < sample.mean() < 12_000


def test_percentile_cuts_off_the_share_it_says() -> None:
    values = np.random.default_rng(0).normal(size=(50_000, 4))
    found = calibration.ranges({"x": seen(values)}, "percentile:99")["x"]
    assert (np.abs(values) > found.bound).mean() == pytest.approx(0.01, abs=0.002)


def test_entropy_clips_a_lone_outlier_that_minmax_keeps() -> None:
    values = np.random.default_rng(0).normal(size=(50_000, 4))
    values[0, 0] = 80.0
    statistics = {"x": seen(values)}
    assert calibration.ranges(statistics, "minmax")["x"].high == 80.0
    assert calibration.ranges(statistics, "entropy")["x"].high < 20


def test_mse_is_no_worse_than_any_other_clip() -> None:
    values = np.random.default_rng(0).standard_t(3, size=(40_000, 2))
    found = calibration.ranges({"x": seen(values)}, "mse")["x"]

    def error(bound: float) -> float:
        low, high = max(values.min(), -bound), min(values.max(), bound)
        step = (high - low) / 255
        return float(np.mean((np.clip(np.rint(values / step) * step, low, high) - values) ** 2))

    bounds = np.linspace(0.1, 1, 40) * np.abs(values).max()
    assert error(found.bound) < 1.05 * min(error(bound) for bound in bounds)


def test_range_is_one_sided_where_the_values_are() -> None:
    found = calibration.ranges({"x": seen(np.random.default_rng(0).uniform(-0.2, 9, (999, 3)))},
                               "mse")["x"]  # fmt: skip
    assert found.low == pytest.approx(-0.2, abs=0.01)
    assert found.high > 8


def test_tensor_that_never_changes_has_no_range() -> None:
    with pytest.raises(GateError, match="gelu was 3 on every row; are the rows constant"):
        calibration.ranges({"gelu": seen(np.full((20, 4), 3.0))}, "minmax")


def draw(task: Path, checkpoint: Path, **changes: object) -> calibration.Rows:
    options = {"count": 30, "seed": 0, "inputs": ("input_ids", "attention_mask"),
               "max_length": 64, "pad_id": 0, **changes}  # fmt: skip
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return calibration.draw(str(task), tokenizer=tokenizer, **options)  # type: ignore[arg-type]


def test_rows_are_seeded_and_never_padded(make_checkpoint: MakeCheckpoint, task_file: Path) -> None:
    one = draw(task_file, make_checkpoint("bert"))
    assert one.count == 30
    assert all(batch["attention_mask"].all() for batch in one.batches)
    assert one.digest == draw(task_file, make_checkpoint("bert")).digest
    assert one.digest != draw(task_file, make_checkpoint("bert"), seed=1).digest


def test_rows_that_repeat_a_text_are_counted(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    train = (*calibration_lines(5, "LABEL_0"), *["the same text\tLABEL_1"] * 15)
    task = write_task(tmp_path, LABELS, rows=20, train=train)
    assert draw(task, make_checkpoint("bert"), count=20).duplicates == 14


def test_rows_of_another_split_are_never_calibrated_on(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    task = write_task(tmp_path, LABELS, rows=20, train=("the film\tLABEL_0",))
    selection = (tmp_path / "selection.tsv").read_text().split("\n")
    (tmp_path / "train.tsv").write_text("\n".join([*selection[:11], "own text\tLABEL_1", ""]))
    assert draw(task, make_checkpoint("bert")).count == 1


def test_task_without_calibration_split_says_so(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    task = write_task(tmp_path, LABELS, rows=20)
    with pytest.raises(InputError, match="no split 'calibration', only test"):
        draw(task, make_checkpoint("bert"))


def test_same_graph_on_the_same_rows_is_run_once(
    make_checkpoint: MakeCheckpoint, task_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("JOULEFORGE_CACHE", str(tmp_path))
    runs = []

    def observe(*_: object) -> dict[str, TensorStatistics]:
        runs.append(1)
        return {"x": seen(np.random.default_rng(0).normal(size=(900, 4)))}

    monkeypatch.setattr(cache, "observe", observe)
    rows = draw(task_file, make_checkpoint("bert"))
    graph = onnx.ModelProto()
    first = cache.observe_once(graph, ["x"], rows)
    again = cache.observe_once(graph, ["x"], rows)
    assert len(runs) == 1
    for collector in calibration.COLLECTORS:
        assert calibration.ranges(first, collector) == calibration.ranges(again, collector)
    (file,) = (tmp_path / "calibration").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    cache.observe_once(graph, ["x"], rows)
    assert len(runs) == 2, "a damaged file is not believed"
