# SPDX-License-Identifier: MIT
"""The host: what must be installed on it, and what is fetched to it, or copied on it.

* ``bootstrap``: what scripts/validate and scripts/test run first, on a fresh machine;
* ``needs``: the packages that a distribution needs (packages.toml), and those that it lacks;
* ``apt``: installs them as root or with sudo; ``venv``: makes .venv from requirements.lock;
* ``child``: child processes that never outlive this one;
* ``doctor``: what ``mte-harness doctor`` reports;
* ``debian``: arm64 packages for the guest image, fetched and unpacked without root;
  ``downloaded``: those of an earlier run;
* ``places``: places that may have something, asked in turn; ``debian_source``: a kernel's source as
  a tarball, of a Debian package or a file; ``git_source``: as a git revision; ``mirror``: the copy
  of a user's directory; ``extract``: how an archive is unpacked;
* ``own_tests``: the steps of scripts/test; ``requirements_lock``: makes requirements.lock anew.

``bootstrap``, ``needs``, ``apt``, ``venv`` and ``child`` use the standard library only, since they
run before .venv exists. Imports only core/.
"""
