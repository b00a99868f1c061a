"""Where a repository of the Hugging Face hub lies on this machine. Nothing is fetched here, and torch is not needed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trilemma.errors import UserError

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_REVISION = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")  # a commit, a branch, a tag, or refs/pr/1
MAIN = "main"
LONGEST_REASON = 300  # of what a library says, in characters


def is_repository(text: str) -> bool:
    """Whether a text has the form ``owner/name`` of a repository on the hub."""
    return _REPOSITORY.fullmatch(text) is not None and ".." not in text


def hub_cache() -> Path:
    """Returns the folder that the hub's own client keeps repositories in; it may not exist yet."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or base / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def refused(repository: str, error: Exception) -> UserError:
    """Returns what went wrong with a download, in one line: hub and network have errors of any kind."""
    hint = "A gated repository wants that you accept its licence on the hub, and log in: hf auth login."
    return UserError(f"{repository} could not be fetched: {first_line(error)}", hint=hint)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type where it has none."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:LONGEST_REASON]


def snapshot(repository: str, revision: str = MAIN) -> Path | None:
    """Returns the folder of a repository's files at a commit, branch or tag, or None where it was never fetched.

    Its name is the commit. Files may be missing in it: a client fetches what it needs.

    Raises:
        UserError: what was given cannot be the name of a repository, or of a revision.
    """
    if not is_repository(repository):
        raise UserError(f'"{repository}" is no repository of the hub.', hint='It looks like "owner/name".')
    if not _REVISION.fullmatch(revision):
        raise UserError(f'"{revision}" is no revision.', hint="Give a commit, a branch or a tag.")
    folder = hub_cache() / f"models--{repository.replace('/', '--')}"
    branch = folder / "refs" / revision
    commit = branch.read_text(encoding="utf-8").strip() if branch.is_file() else revision
    found = folder / "snapshots" / commit
    return found if found.is_dir() else None
