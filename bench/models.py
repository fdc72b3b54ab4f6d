"""Checkpoints of random weights in real sizes, for benchmarks of what things cost.

Their tokenizer is that of `minilm-sst2`, which is found under $JOULEFORGE_DATA.
"""

import json
import shutil
from pathlib import Path
from typing import Literal

LAYERS, WIDTH, VOCABULARY = 12, 768, 30522
TOKENIZER = "minilm-sst2"

Family = Literal["bert", "distilbert"]


def write_model(folder: Path, family: Family = "bert") -> None:
    """Save a model of the family's base size, and BERT's tokenizer.

    BERT-base has 110 M parameters, DistilBERT-base 67 M. Biases and norms are random too: an
    untrained model's are all alike, which hides that one was wired to the wrong place.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, BertConfig, DistilBertConfig

    torch.manual_seed(0)
    config = (
        BertConfig(vocab_size=VOCABULARY, num_hidden_layers=LAYERS, hidden_size=WIDTH)
        if family == "bert"
        else DistilBertConfig(vocab_size=VOCABULARY, n_layers=LAYERS // 2, dim=WIDTH)
    )
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape) * 0.02)
    model.save_pretrained(folder)
    _write_tokenizer(folder)


def _write_tokenizer(folder: Path) -> None:
    # BERT's own vocabulary: with another, a text would be more tokens than in a real checkpoint.
    from jouleforge.checkpoint import Checkpoint

    source = Checkpoint.load(TOKENIZER).path
    shutil.copy(source / "tokenizer.json", folder)
    # Only what transformers 4 and 5 both read.
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
