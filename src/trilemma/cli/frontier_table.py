"""A sweep's settings as a table on the screen, and what each model's frontier is worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trilemma.cli.text_table import text_table
from trilemma.report.frontier import HEADER, setting_rows, trade_sentences, volume_sentence

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from trilemma.store.frontier import Frontier


def frontier_tables(frontier: Frontier) -> Iterator[Table | Text]:
    """Yields for each model its settings, its hypervolume, and what its knobs trade."""
    from rich.text import Text

    for model in frontier.models:
        yield text_table(model.model, HEADER, setting_rows(model))
        yield Text("\n".join([volume_sentence(model), *trade_sentences(model)]) + "\n")
