/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal start for the emulator check: QEMU enters here at EL1, MMU off, or at EL2
 * with virtualization=on. The check always runs at EL1.
 * No kernel is involved, so a wrong result is due to the emulator.
 */
	.arch armv8.5-a+memtag
	.section .text.start, "ax"
	.global _start
_start:
	mrs	x0, CurrentEL
	cmp	x0, #(2 << 2)
	cset	x19, eq				/* 1 if EL2 is there; main() keeps x19 */
	b.ne	at_el1
	mov	x0, #(1 << 31)			/* HCR_EL2.RW: EL1 is 64-bit */
	orr	x0, x0, #(1 << 56)		/* HCR_EL2.ATA: EL1 may access tags */
	msr	hcr_el2, x0
	mov	x0, #0x33ff			/* CPTR_EL2: its RES1 bits, no traps */
	msr	cptr_el2, x0
	mov	x0, #0x3c5			/* SPSR_EL2: EL1h, DAIF masked */
	msr	spsr_el2, x0
	adr	x0, at_el1
	msr	elr_el2, x0
	eret
at_el1:
	adrp	x0, stack_top
	add	x0, x0, :lo12:stack_top
	mov	sp, x0
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el1, x0
	mov	x0, #(3 << 20)			/* CPACR_EL1.FPEN */
	msr	cpacr_el1, x0
	isb
	bl	main
	ldr	x0, =0x84000008			/* PSCI SYSTEM_OFF */
	cbnz	x19, 2f
	hvc	#0
2:	smc	#0				/* QEMU's PSCI conduit with EL2 (hw/arm/virt.c) */
1:	wfi
	b	1b

/*
 * An exception at EL1 is recorded and its instruction skipped; one from EL0
 * is recorded and ends run_el0().
 */
	.balign	2048
vectors:
	.rept	4				/* EL1 with SP_EL0: not used */
	b	.
	.balign	128
	.endr
	b	from_el1
	.balign	128
	.rept	3
	b	.
	.balign	128
	.endr
	b	from_el0
	.balign	128
	.rept	7
	b	.
	.balign	128
	.endr

from_el1:
	stp	x0, x1, [sp, #-32]!
	str	x2, [sp, #16]
	adrp	x0, fault
	add	x0, x0, :lo12:fault
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x1, x2, [x0]
	mrs	x1, elr_el1
	add	x1, x1, #4
	msr	elr_el1, x1
	ldr	x2, [sp, #16]
	ldp	x0, x1, [sp], #32
	eret

from_el0:
	adrp	x0, fault
	add	x0, x0, :lo12:fault
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x1, x2, [x0]
	add	x0, x0, #16			/* the context that run_el0 saved */
	ldp	x19, x20, [x0]
	ldp	x21, x22, [x0, #16]
	ldp	x23, x24, [x0, #32]
	ldp	x25, x26, [x0, #48]
	ldp	x27, x28, [x0, #64]
	ldp	x29, x30, [x0, #80]
	ldr	x1, [x0, #96]
	mov	sp, x1
	ret

/* void run_el0(void *code, void *pointer): runs code at EL0 until its exception. */
	.global run_el0
run_el0:
	adrp	x2, fault
	add	x2, x2, :lo12:fault
	add	x2, x2, #16
	stp	x19, x20, [x2]
	stp	x21, x22, [x2, #16]
	stp	x23, x24, [x2, #32]
	stp	x25, x26, [x2, #48]
	stp	x27, x28, [x2, #64]
	stp	x29, x30, [x2, #80]
	mov	x3, sp
	str	x3, [x2, #96]
	msr	elr_el1, x0
	mov	x3, #0x3c0			/* EL0t, interrupts masked, TCO clear */
	msr	spsr_el1, x3
	mov	x0, x1
	mov	x1, #0x5a
	eret

/* What runs at EL0: one access each, then SVC. */
	.global el0_load, el0_store, el0_end
el0_load:
	ldr	x1, [x0]
	svc	#0
el0_store:
	strb	w1, [x0]
	svc	#0
el0_end:

	.bss
	.balign	16
	.global	fault
fault:	.skip	128
	.balign	4096
	.skip	16384
stack_top:
