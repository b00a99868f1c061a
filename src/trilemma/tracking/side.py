"""One of two versions: where its model lies, and which Python and code run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trilemma.card import FILE_NAME, Card
from trilemma.errors import UserError, suggest
from trilemma.runner.launch import Interpreter, own_interpreter

PACKAGE = "trilemma"
WORKER = Path("runner") / "worker.py"
PYTHONS = (Path("bin") / "python", Path("Scripts") / "python.exe")


@dataclass(frozen=True, kw_only=True)
class Side:
    """Whose code is timed, with whose card.

    Attributes:
        name: "A" for the baseline, "B" for the candidate.
        root: the checkout, for messages.
        card: the folder of the model's card.
        package: the folder that the worker must import this suite from; None where any will do.
    """

    name: str
    root: Path
    card: Path
    interpreter: Interpreter
    package: Path | None = None


def own_side(card: Card, name: str = "B") -> Side:
    """Returns the side of the code that runs here, with a card of its workspace.

    Raises:
        UserError: a variant, whose settings no card on disk holds for the other side to read.
    """
    if card.name != card.model:
        hint = f"Name {card.model}, or give its settings a card of their own."
        raise UserError(f'"{card.name}" is a variant, and versions are compared by cards on disk.', hint=hint)
    return Side(name=name, root=card.path, card=card.path, interpreter=own_interpreter())


def other_side(checkout: Path, model: str, name: str = "A") -> Side:
    """Returns the side of another checkout: its code, its card and, where it has one, its ``.venv``.

    A checkout without code of this suite (a workspace: models and protocols) is run by ours.

    Raises:
        UserError: there is no such checkout, or no such model in it, or its version has no workers.
    """
    root = checkout.expanduser().resolve()
    models = root / "models"
    if not models.is_dir():
        raise UserError("this is no checkout: it has no models/.", where=str(checkout))
    card = models / model / FILE_NAME
    if not card.is_file():
        known = [path.parent.name for path in models.glob(f"*/{FILE_NAME}")]
        raise UserError(f'this checkout has no model "{model}".', where=str(checkout), hint=suggest(model, known))
    package = root / "src" / PACKAGE
    if package.is_dir() and not (package / WORKER).is_file():
        raise UserError(f"the checkout at {root} cannot be timed: its version does not know timing jobs.")
    return Side(
        name=name,
        root=root,
        card=card.parent,
        interpreter=_interpreter(root, has_package=package.is_dir()),
        package=package if package.is_dir() else None,
    )


def _interpreter(root: Path, *, has_package: bool) -> Interpreter:
    ours = own_interpreter()
    python = next((path for name in PYTHONS if (path := root / ".venv" / name).is_file()), None)
    source = (root / "src",) if (root / "src").is_dir() else ()
    borrowed = () if has_package or python is not None else ours.sources
    return Interpreter(python=ours.python if python is None else str(python), sources=(*source, *borrowed))
