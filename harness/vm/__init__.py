# SPDX-License-Identifier: MIT
"""The emulated machine: QEMU started, reached and checked. It knows no kernel and no guest.

`VirtualMachine.launch()` is the one way to start a guest. From data to a running QEMU:

* ``spec``: the machines as data; ``geometry``: where the tag of an address lies in DRAM;
* ``qemu``: the binary and its version; ``packaged_qemu``: another release of it;
* ``qemu_args``: every QEMU command line, and the ways to start (`ColdBoot`, `Restore`);
  ``device_tree``: QEMU's tree with tag storage described (``*.dtso``);
* ``virtual_machine``: the machine, ready to be started, saved and restored;
* ``confined``: the rights that QEMU runs without; ``cpu_share``: what it has of this host's CPUs;
* ``channels``: sockets and disks without names; ``run_disk``: keys and clock of one clone;
* ``process``: the running QEMU, over QMP; ``console``: its serial console; ``loopback``: whether
  this host reaches itself; ``descriptors``: whether it lets us open enough files;
* ``dram``: the guest's memory, seen from the host; ``tags_in_dram`` (.py, .c): how the tags
  get there; ``emulator_check``: the proof, before each run, that QEMU's tags work.
"""
