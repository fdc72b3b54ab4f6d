"""The command line: what each command prints, and how each fails on bad input."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tasks import write_task
from typer.testing import CliRunner, Result

from jouleforge import cuda
from jouleforge.cli import app
from jouleforge.engine import Engine
from jouleforge.measurement import read_measurements

MakeCheckpoint = Callable[..., Path]
MakeEngine = Callable[..., Engine]
LABELS = ("LABEL_0", "LABEL_1", "LABEL_2")
QUICK = ("--warmup", "0", "--duration", "0.01", "--energy", "none", "--batch", "8")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_task(tmp_path_factory.mktemp("task"), LABELS, rows=40)


@pytest.fixture(scope="module")
def rows(make_engine: MakeEngine, task: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two measurements."""
    out = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    for padding in ("static:64", "sorted"):
        engine = make_engine("bert", target="ort").path
        done = call("measure", engine, "--task", task, "--padding", padding, "-o", out, *QUICK)
        assert done.exit_code == 0, done.output
    return out


def test_help_names_every_command() -> None:
    text = call("--help").output
    for name in ("doctor", "convert", "measure", "study", "compare", "report", "quickstart"):
        assert name in text


def test_doctor_prints_json_on_demand() -> None:
    done = call("doctor", "--json")
    checks = json.loads(done.output)["checks"]
    assert {check["group"] for check in checks} >= {"processor", "energy", "runtime", "data"}
    missing = [check for check in checks if check["state"] == "missing"]
    assert all(check["found"] for check in missing)


def test_doctor_names_what_is_there() -> None:
    done = call("doctor")
    assert done.exit_code == 0
    assert "onnxruntime" in done.output


def test_doctor_needs_a_gpu_to_examine_its_meter() -> None:
    if cuda.problem() is None:
        pytest.skip("there is a GPU here")
    assert call("doctor", "--meter").exit_code == 3


def test_convert_says_how_alike_the_answers_are(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    done = call(
        "convert", make_checkpoint("bert"), "-o", tmp_path / "e", "--target", "pytorch",
        "--attention", "eager",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "pytorch eager fp32" in done.output
    assert "decisions as the checkpoint's" in done.output
    assert Engine.open(tmp_path / "e").name == "pytorch eager fp32"


def test_measure_adds_a_row(rows: Path) -> None:
    assert [row.workload.padding for row in read_measurements(rows)] == ["static:64", "sorted"]


def test_measure_takes_queries_as_they_arrive(
    make_engine: MakeEngine, task: Path, tmp_path: Path
) -> None:
    out, engine = tmp_path / "rows.jsonl", make_engine("bert", target="ort").path
    fixed = ("--task", task, "-o", out, "--warmup", "0", "--duration", "0.01", "--energy", "none")
    for words in (
        ("--scenario", "single-stream"),
        ("--scenario", "multi-stream", "--samples-per-query", "4"),
        ("--scenario", "server", "--load", "0.5", "--wait", "spin"),
    ):
        done = call("measure", engine, *fixed, *words)
        assert done.exit_code == 0, done.output
    rows = read_measurements(out)
    assert [row.facts.batches for row in rows] == [40, 10, 40]
    assert rows[2].schedule.wait == "spin"
    assert call("compare", out).exit_code == 0


def test_compare_prints_both_rows(rows: Path) -> None:
    done = call("compare", rows)
    assert done.exit_code == 0, done.output
    assert "sorted" in done.output
    assert "static:64" in done.output


@pytest.mark.parametrize("form", ["html", "markdown", "csv"])
def test_report_is_written_in_every_format(rows: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "report"
    done = call("report", rows, "--format", form, "-o", out)
    assert done.exit_code == 0, done.output
    assert "static:64" in out.read_text()


def test_quickstart_on_ones_own_checkpoint(
    make_checkpoint: MakeCheckpoint, task: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from jouleforge import quickstart
    from jouleforge.schedule import Schedule

    monkeypatch.setattr(quickstart, "_SCHEDULE", Schedule(warmup_s=0, duration_s=0.01))
    monkeypatch.setattr(quickstart, "_REPEATS", 1)
    done = call(
        "quickstart", "--checkpoint", make_checkpoint("bert"), "--task", task, "-o", tmp_path
    )
    assert done.exit_code == 0, done.output
    report = tmp_path / "report.html"
    assert str(report) in done.output.replace("\n", "")
    assert "int8-dynamic" in report.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["convert", "/nowhere", "-o", "{tmp}/e", "--target", "ort"], "no checkpoint folder at"),
        (["convert", "{bert}", "-o", "{tmp}/e", "--target", "tflite"], "choose from ort, ov"),
        (["convert", "{bert}", "-o", "{tmp}/e", "--target", "ort", "--precision", "int3"],
         "precision: Input should be 'fp32', 'fp16', 'bf16', 'int8', 'int8-dynamic' or 'fp8'"),
        (["convert", "{bert}", "-o", "{tmp}/e", "--target", "ort", "--flavour", "sweet"],
         "flavour"),
        (["convert", "{bert}", "-o", "{tmp}", "--target", "ort"], "--force"),
        (["measure", "{tmp}", "--task", "{task}", "-o", "{tmp}/r.jsonl"], "no engine at"),
        (["measure", "{engine}", "--task", "nope", "-o", "{tmp}/r.jsonl"], "no task 'nope'"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/no/r.jsonl"], "does not exist"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--split", "dev"],
         "split: .*found 'dev'"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--split",
          "selection"], "has no split 'selection'"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--padding", "x"],
         "padding 'x' is none of"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--duration", "0"],
         "duration_s: .*greater than 0"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--energy", "sun"],
         "no 'sun' among energy; choose from"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--threads", "9999"],
         "threads must be from 1"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--scenario", "server"],
         "error: the scenario server takes rate_per_s or load .*neither given"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--scenario", "server",
          "--rate", "50", "--load", "0.7"], "both given"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--scenario", "server",
          "--load", "1.2"], "load: .*less than or equal to 1, found 1.2"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--batch", "32",
          "--scenario", "single-stream"], "holds 1, not a batch size of 32; leave the batch size"),
        (["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl", "--rate", "50"],
         "rate_per_s is for the scenario server, not for offline"),
        (["study", "{tmp}/none.toml", "-o", "{tmp}/out"], "cannot be read"),
        (["compare", "{tmp}/none.jsonl"], "cannot read measurements"),
        (["compare", "{task}"], "line 1 is no JSON object"),
        (["compare", "{rows}", "--baseline", "nothing"], "nothing"),
        (["report", "{rows}", "--format", "pdf", "-o", "{tmp}/r"], "no 'pdf' among reports"),
        (["report", "{rows}", "-o", "{tmp}/no/r.html"], "{tmp}/no"),
        (["quickstart", "--task", "sst2", "-o", "{tmp}"], "belong together"),
        (["quickstart", "--checkpoint", "/nowhere", "--task", "{task}", "-o", "{tmp}"],
         "no checkpoint folder at"),
    ],
)  # fmt: skip
def test_bad_input_exits_with_2_and_says_what_to_do(
    words: list[str], message: str, make_checkpoint: MakeCheckpoint, make_engine: MakeEngine,
    rows: Path, task: Path, tmp_path: Path,
) -> None:  # fmt: skip
    import re

    places = {
        "bert": make_checkpoint("bert"),
        "engine": make_engine("bert", target="ort").path,
        "rows": rows,
        "task": task,
        "tmp": tmp_path,
    }
    done = call(*(word.format(**places) for word in words))
    assert done.exit_code == 2, done.output
    assert re.search(message.format(tmp=re.escape(str(tmp_path))), done.output), done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    "words",
    [
        [], ["measure"], ["convert", "x"], ["nothing"], ["measure", "x", "--batch", "0"],
        ["doctor", "--yaml"], ["study"], ["compare"], ["report"], ["quickstart", "--threads", "-1"],
    ],
)  # fmt: skip
def test_wrong_words_exit_with_2(words: list[str]) -> None:
    assert call(*words).exit_code == 2


def test_runtime_that_is_not_installed_exits_with_3(
    make_engine: MakeEngine, task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    engine = make_engine("bert", target="ort").path
    done = call("measure", engine, "--task", task, "-o", tmp_path / "r.jsonl", *QUICK)
    assert done.exit_code == 3
    assert "pip install 'jouleforge[cpu]'" in done.output


@pytest.mark.parametrize(
    ("package", "extra", "words"),
    [
        ("transformers", "convert", ["convert", "{bert}", "-o", "{tmp}/e", "--target", "ort"]),
        ("torch", "convert", ["measure", "{engine}", "--task", "{task}", "-o", "{tmp}/r.jsonl"]),
        ("jinja2", "report", ["report", "{rows}", "-o", "{tmp}/r.html"]),
        ("codecarbon", "carbon", ["measure", "{engine}", "--task", "{task}", "-o",
                                  "{tmp}/r.jsonl", "--energy", "codecarbon"]),
    ],
)  # fmt: skip
def test_package_that_is_not_installed_exits_with_3(
    package: str, extra: str, words: list[str], make_checkpoint: MakeCheckpoint,
    make_engine: MakeEngine, rows: Path, task: Path, tmp_path: Path,
) -> None:  # fmt: skip
    places = {
        "bert": make_checkpoint("bert"),
        "engine": make_engine("bert", target="pytorch").path,
        "rows": rows,
        "task": task,
        "tmp": tmp_path,
    }
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from jouleforge.cli import main\n"
        f"sys.argv[1:] = {[word.format(**places) for word in words]!r}\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert f"pip install 'jouleforge[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_parity_exits_with_4(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jouleforge.converters import parity

    monkeypatch.setitem(parity._BOUNDS, "fp32", parity.Bound("max_abs_error", -1.0, 0.0))
    done = call("convert", make_checkpoint("bert"), "-o", tmp_path / "e", "--target", "pytorch")
    assert done.exit_code == 4
    assert "No engine was written" in done.output
    assert not (tmp_path / "e").exists()


def test_damaged_engine_is_refused_before_it_is_loaded(
    make_engine: MakeEngine, task: Path, tmp_path: Path
) -> None:
    shutil.copytree(make_engine("bert", target="ort").path, tmp_path / "e")
    (tmp_path / "e" / "model.onnx").write_bytes(b"not a graph")
    done = call("measure", tmp_path / "e", "--task", task, "-o", tmp_path / "r.jsonl", *QUICK)
    assert done.exit_code == 2
    assert "was changed after the conversion" in done.output


def test_interruption_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    from jouleforge import doctor

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupt)
    done = call("doctor")
    assert done.exit_code == 130
    assert "interrupted" in done.output
