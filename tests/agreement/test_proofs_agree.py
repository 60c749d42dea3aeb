"""Two verifiers of one proof must say the same: 100,000 random ones, valid and corrupted, and every changed receipt."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from memory_store import Disk, MemoryStore, MemoryTiles

from tallystick import kernels
from tallystick.core import merkle as ours
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.digest import Digest, LeafIndex, Seconds, TreeSize, split_digests
from tallystick.core.note import Note
from tallystick.core.policy import Policy
from tallystick.core.proof import Proof
from tallystick.core.receipt import TimeAnomaly, verify_receipt
from tallystick.custody.checkpoints import sign_checkpoint
from tallystick.custody.softkey import SoftKey
from tallystick.errors import TallystickError
from tallystick.log import opening
from tallystick.log.ledger import Ledger
from tallystick_verify import VerificationError, parse_policy
from tallystick_verify import merkle as theirs
from tallystick_verify import verify_receipt as verify_independently

PROOFS = int(os.environ.get("PROOFS", "100000"))
ORIGIN = "agree.example/ledger"


def corrupt(random: Random, proof: list[bytes], *roots: bytes) -> tuple[list[bytes], list[bytes]]:
    """One thing changed in a proof or a root; nothing in a third of the cases."""
    proof, found = list(proof), [bytearray(root) for root in roots]
    kind = random.randrange(9)
    if kind == 0 and proof:
        proof[random.randrange(len(proof))] = random.randbytes(32)
    elif kind == 1 and proof:
        del proof[random.randrange(len(proof))]
    elif kind == 2:
        proof.insert(random.randint(0, len(proof)), random.randbytes(32))
    elif kind == 3 and len(proof) > 1:
        random.shuffle(proof)
    elif kind == 4:
        random.choice(found)[random.randrange(32)] ^= 1 << random.randrange(8)
    elif kind == 5 and proof:
        proof.append(proof[-1])
    return proof, [bytes(root) for root in found]


def test_random_proofs() -> None:
    random = Random(6962)
    verdicts = {True: 0, False: 0}
    leaves = b"".join(random.randbytes(32) for _ in range(600))
    for _ in range(PROOFS // 2):
        size = random.randint(1, 600)
        hashes = leaves[: 32 * size]
        root = kernels.tree_root(hashes)
        index = random.randrange(size)
        path = split_digests(kernels.inclusion_path(hashes, index))
        shown, (claimed,) = corrupt(random, list(path), root)
        at = index if random.random() < 0.9 else random.randrange(-1, size + 2)
        of = size if random.random() < 0.9 else random.randrange(620)
        leaf = hashes[32 * index : 32 * index + 32]
        verdicts[
            agree(
                partial(ours.verify_inclusion, Digest(leaf), LeafIndex(at), TreeSize(of), shown, Digest(claimed)),
                partial(theirs.verify_inclusion, leaf, at, of, shown, claimed),
            )
        ] += 1
        before = random.randint(0, size)
        first = kernels.tree_root(hashes[: 32 * before])
        proof = split_digests(kernels.consistency_path(hashes, before)) if before else []
        shown, (root1, root2) = corrupt(random, list(proof), first, root)
        verdicts[
            agree(
                partial(ours.verify_consistency, TreeSize(before), TreeSize(size), Digest(root1), Digest(root2), shown),
                partial(theirs.verify_consistency, before, size, shown, root1, root2),
            )
        ] += 1
    assert min(verdicts.values()) > PROOFS // 5


def agree(one: object, other: object) -> bool:
    """Whether both accept; an error of any kind but the two families of refusal is a bug and passes through."""
    outcomes = []
    for verify, refusals in ((one, TallystickError), (other, VerificationError)):
        try:
            verify()  # type: ignore[operator]
        except refusals:
            outcomes.append(False)
        else:
            outcomes.append(True)
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


@pytest.fixture
def receipt(soft_signers: list[SoftKey]) -> tuple[bytes, bytes, bytes]:
    """Proof, disclosure for one account, and policy, of a ledger of a few entries."""
    now = iter(range(1_795_478_400_000_000, 1_795_478_500_000_000))
    store, random = MemoryStore(ORIGIN, Disk()), Random(1)
    opening.create(store, soft_signers, now.__next__, random.randbytes, by="user:a", explicit_accounts=False)
    policy = opening.own_policy(soft_signers, ORIGIN)
    ledger = Ledger(store, MemoryTiles({}), policy, now.__next__, random.randbytes, soft_signers)
    legs = [
        {"debit": "bank", "credit": "a", "asset": "EUR/2", "amount": "5"},
        {"debit": "bank", "credit": "b", "asset": "EUR/2", "amount": "6"},
    ]
    ledger.record([{"id": f"t{i}", "legs": legs, "metadata": {"m": "é"}} for i in range(5)], by="user:a").accepted()
    ledger.seal()
    ledger.publish()
    made = ledger.receipt("t3", account="a")
    return made.proof, made.disclosure, policy.format()


@pytest.mark.slow
def test_every_changed_byte_of_a_receipt(receipt: tuple[bytes, bytes, bytes]) -> None:
    proof, disclosure, raw_policy = receipt
    policy, their_policy = Policy.parse(raw_policy), parse_policy(raw_policy)

    def both(changed_proof: bytes, changed_disclosure: bytes) -> bool:
        return agree(
            lambda: verify_receipt(changed_proof, changed_disclosure, policy),
            lambda: verify_independently(changed_proof, changed_disclosure, their_policy),
        )

    assert both(proof, disclosure)
    random = Random(2)
    for i in range(len(proof)):
        flipped = proof[:i] + bytes([proof[i] ^ 1 << random.randrange(8)]) + proof[i + 1 :]
        assert not both(flipped, disclosure), (i, proof[max(0, i - 20) : i + 20])
    for i in range(len(disclosure)):
        flipped = disclosure[:i] + bytes([disclosure[i] ^ 1 << random.randrange(8)]) + disclosure[i + 1 :]
        assert not both(proof, flipped), (i, disclosure[max(0, i - 20) : i + 20])


def test_a_signature_older_than_its_entry(receipt: tuple[bytes, bytes, bytes], soft_signers: list[SoftKey]) -> None:
    proof, disclosure, raw_policy = receipt
    claim = Proof.parse(proof)
    checkpoint = Checkpoint.parse(claim.checkpoint.text)
    early = sign_checkpoint(soft_signers, checkpoint, Seconds(1_795_478_399))
    dated_back = replace(claim, checkpoint=Note.parse(early)).format()
    with pytest.raises(TimeAnomaly, match=r"older than an entry that it covers; seq 4; .* found 1795478399"):
        verify_receipt(dated_back, disclosure, Policy.parse(raw_policy))
    with pytest.raises(VerificationError, match="time anomaly"):
        verify_independently(dated_back, disclosure, parse_policy(raw_policy))
