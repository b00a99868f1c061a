"""What stands on the page, in this order: one module for each section.

Each has ID, the section's anchor, TITLE, its entry in the navigation, and ``content(run)``: what fills its template,
``templates/MODULE.html.jinja``, or None where the run has nothing of the kind, and the section is absent. One that
moves has SCRIPTS too, the names, in order, of what it needs of ``static/`` and of the library behind the charts; one
with styles of its own STYLES, names in ``static/``. FILES is true where it shows pictures that lie beside the page.
"""

from trilemma.report.sections import (
    claims,
    comparable,
    coverage,
    environment,
    failures,
    filmstrips,
    frontiers,
    gallery,
    glossary,
    measurements,
    models,
    overhead,
    real_size,
    samples,
    scaling,
    scores,
    speed,
    tradeoffs,
)

SECTIONS = (
    frontiers,
    scores,
    comparable,
    tradeoffs,
    filmstrips,
    gallery,
    samples,
    claims,
    measurements,
    models,
    speed,
    scaling,
    real_size,
    overhead,
    coverage,
    failures,
    environment,
    glossary,
)
