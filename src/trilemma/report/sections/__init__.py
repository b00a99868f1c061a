"""What stands on the page, in this order: one module for each section.

Each has ID, the section's anchor, TITLE, its entry in the navigation, and ``content(run)``: what fills its template,
``templates/MODULE.html.jinja``, or None where the run has nothing of the kind, and the section is absent. One that
moves has SCRIPTS too: the names, in order, of what it needs of ``static/`` and of the library behind the charts.
"""

from trilemma.report.sections import (
    claims,
    coverage,
    environment,
    failures,
    frontiers,
    measurements,
    models,
    overhead,
    real_size,
    samples,
    scores,
    speed,
    tradeoffs,
)

SECTIONS = (
    frontiers,
    scores,
    tradeoffs,
    claims,
    measurements,
    samples,
    models,
    speed,
    real_size,
    overhead,
    coverage,
    failures,
    environment,
)
