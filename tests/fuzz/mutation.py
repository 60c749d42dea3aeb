"""A small mutational fuzzer: seeded, bounded, without coverage; for where atheris is not, and for the test suite."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["mutate"]

TOKENS = [
    *(b"%c" % c for c in b'\n \t\0"\\{}[],:+=0\xff'),
    *(b"\n\n", b"-1", b"9223372036854775808", b"1e9", b"null", b"\\ud800"),
    *(b"\xe2\x80\x94 ", b"\xc2\xa0", b"\xed\xa0\x80"),  # a dash, a Unicode space, a surrogate
]


def mutate(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds after a few changes; sometimes a splice of two."""
    data = bytearray(random.choice(seeds))
    for _ in range(1 + int(random.expovariate(0.7))):
        at = random.randint(0, len(data))
        end = min(len(data), at + int(random.expovariate(0.2)))
        match random.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 1:
                data[at:at] = random.choice(TOKENS)
            case 2:
                data[at:end] = random.choice(TOKENS)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end]
            case 5:
                data[at:end] = random.randbytes(end - at)
            case _:
                other = random.choice(seeds)
                start = random.randint(0, len(other))
                data[at:end] = other[start : start + random.randint(0, 64)]
    return bytes(data)
