"""Receipts in the hands of somebody who wants them to say more: signatures stripped, nodes passed off as entries."""

from __future__ import annotations

import base64
import json
from hashlib import sha256

import pytest

from tallystick import IntegrityViolation, verify_receipt
from tallystick.core.digest import Digest, LeafIndex, TreeSize
from tallystick.core.merkle import ProofRefused, verify_inclusion
from tallystick.core.policy import Policy
from tallystick.core.proof import Proof
from tallystick.errors import Malformed
from tallystick_verify import Tampering, parse_policy
from tallystick_verify import verify_receipt as verify_independently
from tallystick_verify.merkle import verify_inclusion as verify_inclusion_independently

from .stages import Staged, staged

__all__ = ["staged"]


@pytest.mark.threat(11)
@pytest.mark.parametrize("kept", [0, 1], ids=["only Ed25519", "only ML-DSA-44"])
def test_a_receipt_with_one_of_two_signatures_proves_nothing(staged: Staged, kept: int) -> None:
    receipt = staged.receipts[0]
    head, _, lines = receipt.proof.rpartition(b"\n\n")
    stripped = head + b"\n\n" + lines.splitlines(keepends=True)[kept]
    with pytest.raises(IntegrityViolation):
        verify_receipt(stripped, receipt.disclosure, Policy.parse(staged.policy))
    with pytest.raises(Tampering):
        verify_independently(stripped, receipt.disclosure, parse_policy(staged.policy))


@pytest.mark.threat(11)
def test_a_policy_of_one_key_is_another_policy_and_says_so(staged: Staged) -> None:
    """Whoever hands out a weaker policy beside the receipt is found out by the key that genesis names."""
    weaker = staged.policy.splitlines(keepends=True)[0] + b"quorum none\n"
    genesis = next(receipt for receipt in staged.receipts if receipt.seq == 0)
    accepted = verify_receipt(genesis.proof, genesis.disclosure, Policy.parse(weaker))
    assert len(accepted.entry.stub.body["keys"]) == 2  # type: ignore[index, call-overload]


@pytest.mark.threat(12)
def test_a_node_of_the_tree_is_no_entry(staged: Staged) -> None:
    """Two leaves' parent has a path to the root too, one hash shorter: were it believed, 64 bytes would be an entry."""
    policy = Policy.parse(staged.policy)
    receipt = next(receipt for receipt in staged.receipts if receipt.seq == 100)
    true = Proof.parse(receipt.proof)
    checkpoint = policy.accept(true.checkpoint.format()).checkpoint
    leaves = (staged.tiles / "tile/0/000").read_bytes()
    left, right = (leaves[32 * seq : 32 * seq + 32] for seq in (100, 101))
    assert right == true.path[0]
    node = sha256(b"\x01" + left + right).digest()
    for index in (50, 100):
        with pytest.raises(ProofRefused):
            verify_inclusion(Digest(node), LeafIndex(index), TreeSize(checkpoint.size), true.path[1:], checkpoint.root)
        with pytest.raises(Tampering):
            verify_inclusion_independently(node, index, checkpoint.size, true.path[1:], checkpoint.root)
    shorter = Proof(LeafIndex(50), true.path[1:], true.checkpoint, b"").format()
    for stub in (left + right, base64.b64encode(left + right)):
        disclosure = json.loads(receipt.disclosure) | {"stub": stub.decode("latin-1"), "parts": []}
        raw = json.dumps(disclosure, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        with pytest.raises((Malformed, IntegrityViolation)):
            verify_receipt(shorter, raw, policy)
        with pytest.raises(Tampering):
            verify_independently(shorter, raw, parse_policy(staged.policy))
