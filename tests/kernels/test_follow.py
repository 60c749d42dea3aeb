"""The chain of stubs, followed by the kernel: what another verifier would refuse is refused before it is signed."""

from __future__ import annotations

import json

import pytest

from tallystick import kernels
from tallystick.core.chain import Chain
from tallystick.core.encoding import canonical

Standing = tuple[int, bytes, int, int, int, bytes]
LEDGER = "follow.example/ledger"
START = (0, bytes(32), 0, 0, 0, b"")


def stubs(batches: int, events: int) -> list[bytes]:
    """Genesis, and `batches` batches of `events` events, each closed by its seal."""
    journal = kernels.Journal(LEDGER)
    journal.reset(None, False, [], [])
    made: list[bytes] = []

    def take(batch: kernels.Batch) -> None:
        made.extend(stub for _, _, stub, _, _ in batch.entries())
        journal.commit(batch)

    take(journal.append("genesis", b'{"accounts":"implicit","by":"user:a","keys":[]}', 10))
    for batch in range(batches):
        first = len(made) if batch else 0
        commands = [{"kind": "event", "id": f"{batch}-{i}", "event": "x"} for i in range(events)]
        take(journal.apply(journal.parse([("user:a", "objects", commands)]), 100 * len(made), bytes(32)))
        hashes = b"".join(map(kernels.leaf_hash, made[first:]))
        body = {"batch": batch, "count": len(made) - first, "first": first, "root": kernels.tree_root(hashes).hex()}
        take(journal.append("seal", canonical(body), 100 * len(made)))
    return made


def follow(some: list[bytes], chain: Standing = START) -> tuple[bytes, Standing]:
    return kernels.follow(LEDGER, chain, b"".join(some), [len(stub) for stub in some])


def culprit(some: list[bytes]) -> int:
    with pytest.raises(kernels.ReplayError) as raised:
        follow(some)
    return int(raised.value.args[1])


def relink(some: list[bytes]) -> list[bytes]:
    """The same stubs with every `prev` set right, as a forger would."""
    last, made = bytes(32), []
    for stub in some:
        value = json.loads(stub)
        value["prev"] = last.hex()
        made.append(canonical(value))
        last = kernels.leaf_hash(made[-1])
    return made


def test_it_ends_where_the_journal_does_however_it_is_cut() -> None:
    made = stubs(3, 20)
    hashes, end = follow(made)
    assert hashes == b"".join(map(kernels.leaf_hash, made))
    assert end == (len(made), hashes[-32:], json.loads(made[-1])["at"], 3, len(made), b"")
    for cut in range(len(made) + 1):
        first, middle = follow(made[:cut])
        second, after = follow(made[cut:], middle)
        assert (first + second, after) == (hashes, end)


def test_every_changed_byte_is_blamed_on_its_stub_or_the_next() -> None:
    made = stubs(2, 3)
    for index, stub in enumerate(made):
        for at in range(len(stub)):
            changed = stub[:at] + bytes([stub[at] ^ 1]) + stub[at + 1 :]
            some = [*made[:index], changed, *made[index + 1 :]]
            if index == len(made) - 1 and follow_or_none(some):
                continue  # the last one's time or body root: the root that is signed is over what stands there
            assert culprit(some) in {index, index + 1}


def follow_or_none(some: list[bytes]) -> bool:
    try:
        follow(some)
    except kernels.ReplayError:
        return False
    return True


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"x": 1}, {"ledger": "other"}, {"kind": "genesis"}, {"kind": "seal"}, {"batch": 7}, {"at": 1},
        {"parts": 0}, {"parts": 65_537}, {"body": "0" * 63}, {"body": {}}, {"kind": "Event"},
    ],
    ids=str,
)  # fmt: skip
def test_a_planted_stub_that_links_is_refused(change: dict[str, object]) -> None:
    made = stubs(1, 5)
    made[3] = canonical(json.loads(made[3]) | change)
    assert culprit(relink(made)) == 3


@pytest.mark.parametrize("change", [{"count": 1}, {"first": 1}, {"batch": 1}, {"root": "0" * 64}, {"x": 1}], ids=str)
def test_a_seal_that_lies_is_refused(change: dict[str, object]) -> None:
    made = stubs(1, 5)
    seal = json.loads(made[-1])
    made[-1] = canonical(seal | {"body": seal["body"] | change})
    assert culprit(made) == len(made) - 1


def test_plain_python_follows_the_same_chain() -> None:
    chain = Chain(LEDGER)
    made = stubs(3, 4)
    for stub in made:
        chain.add(stub)
    _, end = follow(made)
    assert (chain.size, chain.hash, chain.at, chain.batch, chain.batch_first) == end[:5]
