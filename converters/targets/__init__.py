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

A target may define `Watched(folder, recipe)`, an engine opened once for both: it is called as what
`answer` returns, and its `evidence()` is that of the first call.

A target of graphs also defines

* `TYPED`: whether the graph's own types decide the float precision, or an option of the runtime;
* `narrows(recipe)`: whether its graph is cut down to what the head reads (`narrowing`);
* `profile(recipe)`: the form of Q/DQ nodes it is fast with;
* `watch(folder, recipe, tensors)`: a function from inputs to inner tensors of what was written.
"""

from jouleforge.recipe import Recipe


def compiled_refusal(recipe: Recipe, *, runtime: str) -> str | None:
    """Return why an engine whose runtime compiles every graph is not made `compiled`."""
    if not recipe.compiled:
        return None
    return (
        f"the target {recipe.target} has no choice `compiled`: {runtime} compiles every graph when "
        "it is loaded; leave it out, or use the target pytorch"
    )
