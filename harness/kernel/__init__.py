# SPDX-License-Identifier: MIT
"""From the words that name a kernel to a directory that holds it, built once for each content.

``resolve()`` is the whole of it. The steps, each in a module of its own:

* ``recipe``: kernel.toml, read and checked;
* ``source``: the unpacked source of a recipe's base; ``tree``: the mirror of a user's directory;
* ``patches``: a series or mbox on top; ``config``: what was asked for against the final .config;
* ``build``: kbuild out of tree; ``image``: what an arm64 Image says of itself;
* ``artifact``: the published directory, and ``Kernel``, its frozen description.
"""

from harness.kernel.artifact import Kernel
from harness.kernel.locate import resolve

__all__ = ["Kernel", "resolve"]
