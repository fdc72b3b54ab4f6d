"""The tokenizer of a checkpoint, stored in the engine so that it can read text by itself."""

import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from jouleforge.checkpoint import Checkpoint
from jouleforge.engine import TOKENIZER
from jouleforge.errors import InputError


def store(checkpoint: Checkpoint, folder: Path) -> Tokenizer:
    """Write the checkpoint's fast tokenizer into the engine, and return it.

    Padding and truncation that were saved in it are switched off: they belong to the workload.

    Raises:
        InputError: The checkpoint has no tokenizer, or none with a fast form.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.path, use_fast=True, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise InputError(
            f"{checkpoint.path} has no tokenizer that can be read: {str(error).splitlines()[0]}"
        ) from error
    if not tokenizer.is_fast:
        raise InputError(f"{checkpoint.path} has only a slow tokenizer; expected tokenizer.json")
    tokenizer.save_pretrained(folder / "tokenizer")
    file = folder / TOKENIZER
    fast = Tokenizer.from_file(str(file))
    fast.no_padding()
    fast.no_truncation()
    fast.save(str(file))
    return fast
