"""The networks that measure images, each with an identity: sha256 of its weights and the name of its preprocessing.

Nothing here is imported by a generator, and no instrument conditions one.
"""

from __future__ import annotations

from pathlib import Path

from trilemma.errors import UserError, suggest
from trilemma.identity import digest, file_digest
from trilemma.protocol import Protocol

PREPROCESSING = "uint8/127.5-1, no resize; v1"


def instruments_home() -> Path:
    """Returns the folder of the instruments' weights: the checkout's, or what the wheel carries."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / "benchmarks" / "instruments"
    return checkout if checkout.is_dir() else package / "_content" / "benchmarks" / "instruments"


def instrument_folder(name: str) -> Path:
    """Returns the folder that holds an instrument's weights.

    Raises:
        UserError: there is no instrument of that name.
    """
    folder = instruments_home() / name
    if not any(folder.glob("*.safetensors")):
        known = [path.parent.name for path in instruments_home().glob("*/*.safetensors")]
        raise UserError(f'unknown instrument "{name}".', hint=suggest(name, known))
    return folder


def identity(protocol: Protocol) -> dict[str, str]:
    """Returns role → digest of weights and preprocessing, for the instruments of a protocol; needs no torch.

    Of Scenes, Inception is among them where its weights are at hand. A protocol without networks gets none.

    Raises:
        UserError: a name is none, or weights that are not optional are missing.
    """
    if protocol.extractors is None:
        return {}
    if not protocol.knows_truth:
        from trilemma.features import named

        return named.identity(protocol)
    digests = {role: _digest(instrument_folder(name)) for role, name in protocol.extractors.roles().items()}
    inception = inception_file()
    return digests if inception is None else digests | {"inception": file_digest(inception)}


def inception_file() -> Path | None:
    """Returns Inception's weights where they are at hand, or None; the places are those of every other weights file."""
    from trilemma.features.presets import INCEPTION
    from trilemma.features.weights import find

    return find(INCEPTION)


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in {".safetensors", ".json"})
    weights = {path.relative_to(folder).as_posix(): file_digest(path) for path in files if path.name != "held_out.json"}
    return digest({"weights": weights, "preprocessing": PREPROCESSING})
