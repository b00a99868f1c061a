"""The command from a checkout: ``python bench.py list``. Installed, it is called ``trilemma``."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("trilemma") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from trilemma.cli import main  # noqa: E402

sys.exit(main())
