"""Environments: the Python of a peer, with its own pinned packages, made once."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def interpreter(peer: str, *, under: Path) -> Path:
    """Return the peer's Python, after installing its requirements where that was not done yet.

    Args:
        peer: Folder here that holds `requirements.txt`.
        under: Folder of the environments.
    """
    place = under / peer / "venv"
    python, ready = place / "bin" / "python", place / "ready"
    requirements = HERE / peer / "requirements.txt"
    if not ready.is_file() or ready.read_bytes() != requirements.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "-r", requirements]
        subprocess.run(install, check=True)
        ready.write_bytes(requirements.read_bytes())
    return python
