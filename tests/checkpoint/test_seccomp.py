"""The system call filter, run as the kernel does."""

import errno

from hypothesis import example, given
from hypothesis import strategies as st

from glowplug.checkpoint import seccomp

ALLOW = 0x7FFF0000
ENOSYS = 0x00050000 | errno.ENOSYS


def _answer(number: int) -> int:
    """The verdict on a call; see bpf(4) of FreeBSD or Documentation/networking/filter.rst for the four instructions."""
    accumulator = at = 0
    while True:
        code, if_true, if_false, operand = seccomp._PROGRAM[at]
        at += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                assert operand == 0  # nr, the first field of struct seccomp_data
                accumulator = number
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += if_true if accumulator >= operand else if_false
            case 0x25:  # BPF_JMP | BPF_JGT | BPF_K
                at += if_true if accumulator > operand else if_false
            case 0x06:  # BPF_RET | BPF_K
                return operand


@given(st.integers(0, 2**32 - 1))
@example(0)
@example(424)
@example(428)
def test_every_call_is_allowed_but_those_of_io_uring(number):
    assert _answer(number) == (ENOSYS if 425 <= number <= 427 else ALLOW)


def test_each_call_of_io_uring_is_answered_as_by_a_kernel_without_it():
    assert [_answer(number) for number in (425, 426, 427)] == [ENOSYS] * 3


def test_the_program_only_jumps_forward_within_itself():
    length = len(seccomp._PROGRAM)
    for at, (code, if_true, if_false, _) in enumerate(seccomp._PROGRAM):
        if code in (0x35, 0x25):
            assert at + 1 + max(if_true, if_false) < length
    assert seccomp._PROGRAM[-1][0] == 0x06
