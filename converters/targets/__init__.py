"""Targets: each module here writes one kind of engine; its file name is the target's name.

A module defines

* `SOURCE`: `"graph"` if it compiles an ONNX graph, `"module"` if it takes the PyTorch module;
* `PRECISIONS`: what it can be asked for, its default first;
* `choices(precision)`: for that precision, the values it offers of each field of the recipe that it
  has (`flavour`, `attention`, `provider`, `rest`, `quantizer`), the default of each first;
* `refusal(recipe)`: why it will not make this engine, and what to ask for instead; else None. A
  target that needs a device raises `MissingError` here already where there is none;
* `write(source, recipe, folder)`: put the engine's files into the folder;
* `answer(folder, recipe)`: a function from inputs to logits that runs what was written, with the
  runtime's own Python interface and so independently of the harness;
* `evidence(folder, recipe, inputs)`: what the runtime says it executed on these inputs.

A target may define `Watched(folder, recipe)`, a `WatchedEngine` that is opened once for both. What
`watched` returns is one for any target.

A target of graphs also defines

* `TYPED`: whether the graph's own types decide the float precision, or an option of the runtime;
* `narrows(recipe)`: whether its graph is cut down to what the head reads (`narrowing`);
* `profile(recipe)`: the form of Q/DQ nodes it is fast with;
* `watch(folder, recipe, tensors)`: a function from inputs to inner tensors of what was written.
"""

from pathlib import Path
from types import ModuleType
from typing import Protocol

from jouleforge.converters.evidence import Evidence
from jouleforge.converters.parity import Answer, Inputs, Logits
from jouleforge.recipe import Recipe


class WatchedEngine(Protocol):
    """An engine that answers, and can tell what it executed."""

    def __call__(self, inputs: Inputs) -> Logits:
        """Return the logits."""
        ...

    def evidence(self) -> Evidence:
        """Return what the first call executed."""
        ...


def watched(target: ModuleType, folder: Path, recipe: Recipe) -> WatchedEngine:
    """Return an engine opened to be checked: by the target's `Watched`, if it has one."""
    if hasattr(target, "Watched"):
        opened: WatchedEngine = target.Watched(folder, recipe)
        return opened
    return _OpenedAgain(target, folder, recipe)


class _OpenedAgain:
    """An engine whose runtime tells what ran only of one that was opened for that."""

    def __init__(self, target: ModuleType, folder: Path, recipe: Recipe) -> None:
        self._target, self._folder, self._recipe = target, folder, recipe
        self._answer: Answer = target.answer(folder, recipe)
        self._first: Inputs | None = None

    def __call__(self, inputs: Inputs) -> Logits:
        if self._first is None:
            self._first = inputs
        return self._answer(inputs)

    def evidence(self) -> Evidence:
        assert self._first is not None, "nothing has been run"
        found: Evidence = self._target.evidence(self._folder, self._recipe, self._first)
        return found


def compiled_refusal(recipe: Recipe, *, runtime: str) -> str | None:
    """Return why an engine whose runtime compiles every graph is not made `compiled`."""
    if not recipe.compiled:
        return None
    return (
        f"the target {recipe.target} has no choice `compiled`: {runtime} compiles every graph when "
        "it is loaded; leave it out, or use the target pytorch"
    )
