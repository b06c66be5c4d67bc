# SPDX-License-Identifier: MIT
"""Sequences of operations that nobody wrote, checked against a model of data, tags and modes.

* ``operations``, ``on_memory``, ``on_content``, ``on_uffd``, ``on_guest``: what can be done, and
  what it must do;
* ``world``, ``memory``: the state that the model keeps;
* ``steps``: what the interpreter in the guest runs (guest/explore);
* ``by_chance``: random sequences; ``generate``: all short ones, and the steps of any;
* ``trial``: runs sequences in guests; ``deviation``: how a guest differed from the model;
* ``shrink``, ``c_program``: from a hit to a short program fit to mail;
* ``guest_search``: all of that in several guests; ``known``: what has been found before;
* ``hit``: a sequence as it is kept; ``proof``: its C program, run by itself; ``exploration``: one
  search of a kernel, whose hits are kept.
"""
