# SPDX-License-Identifier: MIT
"""The messages by which an arm64 kernel reports that something is wrong with it.

A new splat pattern is a row of ``TRIGGERS``. A pattern is matched at the start of a kernel line,
after the time stamp; the comment beside it names the code that prints it (paths of 6.12).
"""

from __future__ import annotations

import enum
import re


class SplatKind(enum.StrEnum):
    """The kind of a splat, which is a part of its fingerprint."""

    PANIC = "panic"
    OOPS = "oops"
    BUG = "bug"
    WARNING = "warning"
    LOCKDEP = "lockdep"
    KASAN = "kasan"
    KFENCE = "kfence"
    UBSAN = "ubsan"
    SLAB = "slab"
    LIST = "list"
    REFCOUNT = "refcount"
    PAGE = "page"
    SWAP = "swap"
    LEAK = "leak"
    RCU = "rcu"
    HUNG = "hung"
    LOCKUP = "lockup"
    SERROR = "serror"
    TRACE = "trace"


# The line of WARN() that says where: kernel/panic.c, __warn(). Since 6.19 (28ea295f941e) the place
# comes first, and there may be no file: "WARNING: mm/ksm.c:9 at ksm_scan+0x10/0x20, CPU#1: sh/72".
_WARN = r"WARNING: (?:CPU: \d+ PID: \d+ at |\S+:\d+ at |at \S+\+0x)"


def _table(*rows: tuple[SplatKind, str]) -> tuple[tuple[SplatKind, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(pattern)) for kind, pattern in rows)


# First line of a splat -> its kind. The first row that matches wins: general rows come last.
TRIGGERS = _table(
    (SplatKind.PANIC, r"Kernel panic - not syncing: "),  # kernel/panic.c
    (SplatKind.SERROR, r"SError Interrupt on CPU"),  # arch/arm64/kernel/traps.c
    (SplatKind.OOPS, r"Unable to handle kernel "),  # arch/arm64/mm/fault.c
    (SplatKind.BUG, r"Internal error: Oops - BUG"),  # arch/arm64/kernel/traps.c, bug_handler()
    (SplatKind.OOPS, r"Internal error: "),  # __die()
    (SplatKind.OOPS, r"Unhandled .* exception on CPU|Bad mode in "),  # entry-common.c
    (SplatKind.OOPS, r"Insufficient stack space to handle exception"),  # traps.c
    (SplatKind.BUG, r"[kK]ernel BUG at "),  # lib/bug.c
    (SplatKind.KASAN, r"(?:BUG: )?KASAN: "),  # mm/kasan/report.c
    (SplatKind.KFENCE, r"BUG: KFENCE: "),  # mm/kfence/report.c
    (SplatKind.UBSAN, r"UBSAN: "),  # lib/ubsan.c
    (SplatKind.LOCKUP, r"(?:watchdog: )?BUG: (?:soft|workqueue) lockup"),  # kernel/watchdog.c
    (SplatKind.LOCKUP, r"(?:watchdog: )?Watchdog detected hard LOCKUP"),
    (SplatKind.PAGE, r"BUG: Bad page (?:state|map|cache) "),  # mm/page_alloc.c, memory.c, filemap.c
    (SplatKind.PAGE, r"BUG: (?:Bad rss-counter|non-zero pgtables_bytes)"),  # kernel/fork.c
    (SplatKind.PAGE, r"pagealloc: (?:memory corruption|single bit error)"),  # mm/page_poison.c
    (SplatKind.PAGE, r"\S+\.[ch]:\d+: bad (?:pgd|p4d|pud|pmd) "),  # mm/pgtable-generic.c
    (SplatKind.SLAB, r"BUG \S+ \(.*\): "),  # mm/slub.c, __slab_bug()
    (SplatKind.LIST, r"list_(?:add|del) (?:corruption|double add)"),  # lib/list_debug.c
    (SplatKind.REFCOUNT, r"refcount_t: "),  # lib/refcount.c
    (SplatKind.SWAP, r"(?:\w+: )?(?:Bad|Unused) swap (?:file|offset) entry "),  # mm/swapfile.c
    (SplatKind.SWAP, r"(?:Read|Write)-error on swap-device"),  # mm/page_io.c
    (SplatKind.LEAK, r"kmemleak: \d+ new suspected memory leaks"),  # mm/kmemleak.c
    (
        SplatKind.LOCKDEP,  # kernel/locking/lockdep.c
        (
            r"WARNING: (?:possible |inconsistent lock state|suspicious RCU usage|bad contention"
            r"|bad unlock balance|Nested lock was not taken|held lock freed|chain_key collision"
            r"|lock held when returning|\S+/\d+ still has locks held|\S+-safe -> \S+-unsafe lock)"
        ),
    ),
    (SplatKind.LOCKDEP, r"INFO: trying to register non-static key"),
    (SplatKind.LOCKDEP, r"\[ BUG: "),  # kernel/locking/lockdep.c, rtmutex
    # kernel/rcu/tree_stall.h
    (SplatKind.RCU, r"(?:rcu: )?INFO: \w+ (?:self-)?detected (?:expedited )?stall"),
    (SplatKind.HUNG, r"INFO: task .* blocked for more than \d+ seconds"),  # kernel/hung_task.c
    (SplatKind.WARNING, _WARN),
    (SplatKind.BUG, r"(?:\w+: )?BUG: "),  # sleeping function, scheduling while atomic, spinlock ...
)

# Lines with the place of a WARN() or BUG(), which may follow the message that explains it.
PLACE = re.compile(rf"{_WARN}|[kK]ernel BUG at ")

# Out of memory, which some tests provoke: no fault of the kernel, so no splat.
EVENTS = re.compile(
    r"\S.* invoked oom-killer: |(?:Memory cgroup o|O)ut of memory: Killed process"  # oom_kill.c
    r"|oom_reaper: |\S.*: page allocation failure: "  # mm/page_alloc.c, warn_alloc()
)
# Lines above a call trace that was requested (drivers/tty/sysrq.c, lib/nmi_backtrace.c) or that
# an event prints: no splat either.
ASKED_FOR = re.compile(rf"sysrq: |NMI backtrace for cpu |task:\S|{EVENTS.pattern}")

# Splats of one line, with no call trace.
ONE_LINE = re.compile(
    r"BUG: (?:Bad rss-counter|non-zero pgtables_bytes|Bad page \w+: \d+ messages suppressed)"
    r"|\S+\.[ch]:\d+: bad p|(?:\w+: )?(?:Bad|Unused) swap |(?:Read|Write)-error on swap-device"
    r"|kmemleak: "
)

CUT_HERE = "------------[ cut here ]------------"  # include/asm-generic/bug.h
END = re.compile(r"---\[ end (?:trace|Kernel panic)")
BORDER = re.compile(r"={20,}$")
CALL_TRACE = re.compile(r"(?i:call trace):\s*$")  # arm64: "Call trace:", others "Call Trace:"

# " do_swap_page+0x10/0x20 (P)", and on x86 " ? name+0x1/0x2 [module]".
FRAME = re.compile(
    r"\s*(?:\? )?(?P<symbol>[\w.$]+)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)"
    r"(?: \[[^]]*\])?(?: \([A-Z]+\))?\s*$"
)
BARE_FRAME = re.compile(r"\s*0x[0-9a-f]{8,}(?: \([A-Z]+\))?\s*$")
PC = re.compile(r"pc : (?P<where>\S+)")
CPU = re.compile(r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<task>.*?) "
                 r"(?:Not tainted|Tainted:|Kdump:)")  # fmt: skip
TASK = re.compile(r"task:(?P<task>.*?)\s+state:.*\bpid:(?P<pid>\d+)")  # sched_show_task()
REGISTERS = re.compile(r"\b(?P<name>x\d+|sp|pstate) ?: ?(?P<value>[0-9a-f]{8,16})")

# Printed above a trace by dump_stack_print_info() (lib/dump_stack.c); the last three also by
# sched_show_task() (kernel/sched/core.c).
_WHERE = r"CPU: \d+ (?:UID|PID)|Hardware name: |Tainted: |Workqueue: |Stopper: |Sched_ext: "
# Lines of a splat above the one that a trigger matches: dump_page() and dump_vma() of mm/debug.c,
# the line of '=' above a report, and the first lines of dump_stack().
PRELUDE = re.compile(
    rf"{_WHERE}|"
    r"page: ?refcount:|head: ?order:|memcg:|(?:\w+ )?flags: 0x|page_type: |raw: |"
    r"page dumped because: |page does not match folio|vma [0-9a-f]{16}|={20,}$"
)
# Lines that continue a splat after its call trace, and begin none.
ANATOMY = re.compile(
    rf"{FRAME.pattern}|{BARE_FRAME.pattern}|{CALL_TRACE.pattern}|{END.pattern}|"
    rf"\s*$|Code: |Modules linked in:|{_WHERE}|pstate: |pc : |"
    r"lr : |sp : |x\d+ ?: |Kernel Offset: |CPU features: |Memory Limit: |SMP: stopping|"
    r"SMP: failed to stop|Disabling lock debugging|Rebooting in |rcu: |\t|Sending NMI|"
    r"NMI backtrace for|task:|Showing all locks|\d+ locks? held|no locks held| #\d+: |"
    r"irq event stamp|hardirqs last|softirqs last|INFO: lockdep is turned off|page: ?refcount:|"
    r"head: ?order:|(?:\w+ )?flags: 0x|page_type: |raw: |page dumped because: |FIX |=+$|-+$"
)
# Panics that follow from an earlier splat and belong to it: kernel/exit.c, panic.c, traps.c.
CONSEQUENCE = re.compile(
    r"Kernel panic - not syncing: (?:Oops|Fatal exception|\w+: panic_on_warn|kasan\.fault"
    r"|Attempted to kill (?:init|the idle)|softlockup|hung_task|RCU Stall|Asynchronous SError"
    r"|Unhandled exception|kernel stack overflow)"
)

# Functions that report a fault: their frames do not show where it is.
GENERIC = re.compile(
    r"dump_backtrace|show_stack|dump_stack|dump_stack_lvl|show_regs|__show_regs|die|__die|die_\w+|"
    r"__do_kernel_fault|do_bad_area|do_page_fault|do_translation_fault|do_mem_abort|\w*mem_abort\w*|"
    r"do_tag_check_fault|do_tag_recovery|do_alignment_fault|do_debug_exception|do_serror|"
    r"do_el1_\w+|do_undefinstr|el1h?_\w+|el1_\w+|__el1_\w+|bug_handler|call_break_hook|brk_handler|"
    r"report_bug|__warn|warn_slowpath\w*|__warn_printk|v?panic|nmi_panic|arm64_serror_panic|check_panic_on_warn|"
    r"panic_bad_stack|handle_bad_stack|__bad_stack|"
    r"kasan_\w+|__kasan_\w+|__asan_\w+|print_report|print_address_description|kfence_\w+|"
    r"check_memory_region|ubsan_\w+|__ubsan_\w+|handle_overflow|lockdep_\w+|lock_acquire|"
    r"__lock_acquire|print_\w*(?:bug|usage|circular|deadlock)\w*|check_noncircular|mark_lock\w*|"
    r"validate_chain|check_prev_add|refcount_warn_saturate|__list_(?:add|del_entry)_valid\w*|"
    r"bad_page|dump_page|__dump_page|slab_err|object_err|slab_bug|spin_bug|spin_dump|"
    r"do_raw_spin_lock|do_raw_spin_unlock|__might_sleep|__might_resched|__schedule_bug|"
    r"debug_check_no_locks_\w+|watchdog_timer_fn|__hrtimer_run_queues|hrtimer_interrupt|"
    r"rcu_check_callbacks|rcu_sched_clock_irq|update_process_times|tick_\w+|arch_timer_handler_virt|"
    r"handle_percpu_devid_irq|generic_handle_domain_irq|gic_handle_irq|call_on_irq_stack|"
    r"do_interrupt_handler|__nmi_\w+|nmi_\w+|arch_trigger_\w+|_raw_\w+|__switch_to|__schedule|"
    r"schedule|schedule_timeout\w*|io_schedule\w*|preempt_schedule\w*|_printk|vprintk\w*"
)
