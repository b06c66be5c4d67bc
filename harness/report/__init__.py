# SPDX-License-Identifier: MIT
"""What a pytest run found, for people and for programs, all from one model.

* ``model``: a report and its tests, and their way to JSON and back;
* ``json_file``: report.json; ``junit``: junit.xml; ``html`` (with ``plot``): report.html;
* ``terminal``: the short table.
"""
