# SPDX-License-Identifier: MIT
"""A kernel running on a machine: booted once, cloned for each test, reached over SSH.

`Guest` is what a test uses. The steps to it, and what looks inside:

* ``root_image``: the root file system, made of Debian's packages;
* ``kernel_needs``: what a kernel must have for any guest;
* ``template``: a guest booted and saved; ``seal``: whether it is undamaged;
  ``facts``: what one clone learned for the others;
* ``guest``: a clone: commands, files, console, DRAM, and the error when it is lost;
* ``debugger``: gdb on a clone (--gdb);
* ``system``: what a clone and a visit have in common; ``testbed``: a template or a board;
* ``board``: a machine over SSH in place of a template, ``board_login`` and ``board_facts``: how it
  is reached and what it is; ``visit``: what a clone is to a template, ``keeper`` the program there;
* ``ssh``: one connection; ``shell``: a person's terminal on it;
* ``attach``: a running guest for another process (`mte-harness tags`);
* ``frames``: the page frames of a process; ``kpageflags``: the bits of their flags;
  ``page_view``: a page's tags and data as text.
"""
