# SPDX-License-Identifier: MIT
"""Kernels: from the argument that names one to a directory that holds it, built once for each key.

``locate_kernel()`` finds out what an argument names; ``obtain_kernel()`` builds it, or takes it
from the cache. Each step is a module of its own:

* ``locate``: an argument as a recipe, a version, a directory, a .deb file or an Image;
  ``directory``: what a directory is; ``output_directory``: of ``make O=``; ``build_options``:
  --series, --config, --set and --llvm;
* ``recipe``: kernel.toml, read and checked;
* ``obtain``: the key of a kernel, and what is done when the cache lacks it;
* ``base``: the unpacked source of a recipe's base; ``sources``: the table of places that may have
  it;
* ``debian_binary``: a kernel that Debian built; ``deb_files``: one in .deb files;
  ``debian_pool``: what a suite no longer lists of one; ``debug_symbols``: the vmlinux of a
  -dbg package;
* ``releases``: what differs between kernel releases; ``mutants``: kernels that hold many of them;
* ``patches``: a series on top; ``mbox``: a series as a mailing list sends it; ``series``: one
  that a command adds (--series);
* ``config``: what was asked for against the final .config; ``start_config``: a user's .config as
  the start; ``compiler_age``: whether the tree takes the compiler;
* ``workspace``: the directory of the one build that runs at a time; ``build``: kbuild in it;
* ``selftests``: the kernel's own, of a kernel that Debian built;
* ``linux_image``: the header, version and .config in an Image; ``packed_image``: Image.gz and the
  like; ``adopt``: a ready Image; ``installed``: where the files of its build lie; ``modules``:
  those that a guest needs; ``initramfs``: what loads them;
* ``board_address``: the kernel of a board, which is built by somebody else;
* ``bundle``: built kernels in a directory, for other hosts;
* ``artifact``: the published directory, and ``Kernel``, its frozen description; ``history``: which
  builds of a user's directory are kept.

Where a source lies, and how it is fetched or copied, is host/'s.

Imports only core/ and host/.
"""

from harness.kernel.artifact import Kernel
from harness.kernel.board_address import BoardKernel
from harness.kernel.bundle import BundledKernel, find_bundled, pack
from harness.kernel.deb_files import DebKernel
from harness.kernel.debian_binary import DebianKernel
from harness.kernel.locate import ImageKernel, KernelSource, RecipeKernel, TreeKernel, locate_kernel
from harness.kernel.obtain import obtain_kernel
from harness.kernel.selftests import obtain_selftests
from harness.kernel.series import Series, load_series

__all__ = [
    "BoardKernel",
    "BundledKernel",
    "DebKernel",
    "DebianKernel",
    "ImageKernel",
    "Kernel",
    "KernelSource",
    "RecipeKernel",
    "Series",
    "TreeKernel",
    "find_bundled",
    "load_series",
    "locate_kernel",
    "obtain_kernel",
    "obtain_selftests",
    "pack",
]
