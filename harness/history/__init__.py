# SPDX-License-Identifier: MIT
"""What many nights found: the records, what changed, and the pages that say so.

* ``night``: the record of a run and the plan of a night; ``from_report``: a report as a record;
* ``night_plan``: what fits in a night, and its forecast; ``make_room``: the size limit of results
  and cache;
* ``database``: SQLite from the records; ``past``: the last nights of it in memory;
  ``long_past``: all nights, as spans;
* ``changes``: what one result is beside the last one; ``stability``: unstable, by numbers;
  ``review``: all of a night; ``bugs``: known bugs and splats;
* ``trends``: bands and steps; ``numbers``: the series that have them; ``sketch``: as SVG;
* ``site``: the pages; ``mail``: the text; ``kcidb``: for KernelCI; ``wording``: their words.
"""
