"""Tiny random checkpoints of the supported families, with a tokenizer trained on a few lines."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast

TEXTS = (
    "the film is a delight and the cast enjoys every minute of it",
    "it never comes together and nothing here is new or told with any warmth",
    "a careful reading of the report shows that costs fell while complaints doubled",
    "she sold the house and moved to the coast where the piano was still in tune",
)
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_DISTIL_SIZES = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
_OWN = {
    "bert": {},
    "electra": {"embedding_size": 16},
    "distilbert": {},
    "roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "deberta-v2": {},
}


def save_checkpoint(folder: Path, family: str, **changes: object) -> None:
    """Save a model of random weights, and its tokenizer."""
    pad_first = family not in ("roberta", "xlm-roberta")
    tokenizer = save_tokenizer(folder, pad_first=pad_first)
    sizes = _DISTIL_SIZES if family == "distilbert" else _SIZES
    options = {
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": 64 if pad_first else 66,
        "num_labels": 3,
        "pad_token_id": 0,
        **sizes,
        **_OWN[family],
        **changes,
    }
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **options))
    _make_telling(model)
    model.eval().save_pretrained(folder)


def _make_telling(model: torch.nn.Module) -> None:
    """Give biases values and attention contrast; untrained ones hide a lost mask or bias."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape) * 0.2)
            elif any(part in name for part in ("query", "key", "q_lin", "k_lin")):
                parameter.mul_(20)
            else:
                parameter.mul_(4)


def save_tokenizer(folder: Path, *, pad_first: bool = True) -> Tokenizer:
    """Save a small WordPiece tokenizer that adds [CLS] and [SEP]."""
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    if not pad_first:
        specials[:2] = ["[CLS]", "[PAD]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    ).save_pretrained(folder)
    return tokenizer
