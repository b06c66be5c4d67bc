# SPDX-License-Identifier: MIT
"""Sequences of operations that nobody wrote, checked against a model of data, tags and modes.

* ``operations``, ``on_memory``, ``on_content``: what can be done, and what it must do;
* ``world``, ``memory``: the state that the model keeps;
* ``steps``: what the interpreter in the guest runs (guest/explore);
* ``generate``: sequences, at random and all short ones;
* ``trial``: runs sequences in guests; ``deviation``: how a guest differed from the model;
* ``shrink``, ``c_program``: from a hit to a short program fit to mail;
* ``search``: all of that for so many minutes; ``known``: what has been found before.
"""
