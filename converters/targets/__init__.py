"""Targets: each module here writes one kind of engine; its file name is the target's name.

A module defines

* `SOURCE`: `"graph"` if it compiles an ONNX graph, `"module"` if it takes the PyTorch module;
* `PRECISIONS`, `FLAVOURS`, `ATTENTIONS`: what it can be asked for, its default first;
* `write(source, recipe, folder)`: put the engine's files into the folder;
* `answer(folder, recipe)`: a function from inputs to logits that runs what was written, with the
  runtime's own Python interface and so independently of the harness.
"""
