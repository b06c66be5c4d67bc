# SPDX-License-Identifier: MIT
"""What every other room stands on; imports no other room.

* ``errors``: each way in which a run ends without a verdict, with its exit status;
* ``paths``: the repository and the cache; ``store``: cache entries, made once for each key;
* ``keys``: the hashes that name entries; ``file_lock``: a lock between runs;
* ``disk``: a full disk as an error; ``host_trouble``: what else a host refuses;
* ``files``: a file replaced as a whole; ``git_output``: what git says of a checkout;
* ``structure``: dataclasses from JSON; ``toml_file``: TOML whose errors name their line;
* ``deadline`` and ``limits``: how long to wait; ``amounts``: times and sizes that a user wrote;
* ``progress``: the steps of a long run, as lines; ``terminal_progress``: as a live line;
* ``printable``: text from a guest that is fit to be shown;
* ``ktap``: the parser of what a probe or selftest prints;
* ``toolchain``: the compilers, and the environment of a kernel build; ``cross``: guest programs;
* ``pattern``: the tags and data that C probes derive from a seed, as Python checks compute them;
* ``run_logged``: a command with its output in a log.

host/ runs ``errors``, ``disk``, ``progress`` and ``keys`` with the standard library only, before
the virtual environment exists.
"""
