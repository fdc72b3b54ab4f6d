"""Checkpoints of random weights in real sizes, for benchmarks of what things cost."""

import json
from pathlib import Path
from typing import Literal

LAYERS, WIDTH, VOCABULARY = 12, 768, 30522

Family = Literal["bert", "distilbert"]


def write_model(folder: Path, family: Family = "bert") -> None:
    """Save a model of the family's base size, and a tokenizer that transformers 4 and 5 read.

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
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    signs = [chr(code) for code in range(33, 127)]
    words = [*specials, *signs, *(f"##{sign}" for sign in signs)]
    words += [f"word{number}" for number in range(VOCABULARY - len(words))]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(specials)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
