"""Chromium without a window, for the tests of the report and for its screenshots."""

from __future__ import annotations

import os
import shutil
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    """Returns the first browser on the PATH; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Any, path: str) -> Any:
    """Returns the running browser; ``playwright`` is what ``sync_playwright()`` gives."""
    # Chromium refuses its sandbox to root, which is what containers run as.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=path, args=arguments)
