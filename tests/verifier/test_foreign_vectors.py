"""Vectors that others made; see PROVENANCE.md beside them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tallystick_verify import Tampering, strictjson
from tallystick_verify.chain import Chain
from tallystick_verify.entry import check_body, parse_stub
from tallystick_verify.merkle import leaf_hash, part_hash, tree_root, verify_consistency, verify_inclusion
from tallystick_verify.note import ED25519, ML_DSA_44, Checkpoint, VerifierKey, verify_signature


def decoded(case: dict[str, Any], *names: str) -> list[bytes]:
    return [base64.b64decode(case[name] or "") for name in names]


def cases(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = [(path, json.loads(path.read_text())) for path in sorted(folder.rglob("*.json"))]
    assert found
    return found


def hashes(case: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(item) for item in case["proof"] or []]


def test_inclusion_proofs(foreign_vectors: Path) -> None:
    accepted = 0
    for path, case in cases(foreign_vectors / "merkle" / "inclusion"):
        root, leaf = decoded(case, "root", "leafHash")
        if case["wantErr"]:
            with pytest.raises(Tampering):
                verify_inclusion(leaf, case["leafIdx"], case["treeSize"], hashes(case), root)
        else:
            accepted += 1
            verify_inclusion(leaf, case["leafIdx"], case["treeSize"], hashes(case), root)
            assert len(root) == 32, path
    assert accepted > 3


def test_consistency_proofs(foreign_vectors: Path) -> None:
    accepted = 0
    for _, case in cases(foreign_vectors / "merkle" / "consistency"):
        root1, root2 = decoded(case, "root1", "root2")
        if case["wantErr"]:
            with pytest.raises(Tampering):
                verify_consistency(case["size1"], case["size2"], hashes(case), root1, root2)
        else:
            accepted += 1
            verify_consistency(case["size1"], case["size2"], hashes(case), root1, root2)
    assert accepted > 1


@pytest.mark.parametrize("name,key_type", [("ed25519_test", ED25519), ("mldsa_44_verify_test", ML_DSA_44)])
def test_wycheproof_signatures(foreign_vectors: Path, name: str, key_type: int) -> None:
    vectors = json.loads((foreign_vectors / "wycheproof" / f"{name}.json").read_text())
    seen = {"valid": 0, "invalid": 0}
    for group in vectors["testGroups"]:
        public = group["publicKey"] if isinstance(group["publicKey"], str) else group["publicKey"]["pk"]
        for test in group["tests"]:
            if test.get("ctx"):  # C2SP cosignatures are signed without a context
                continue
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            seen[test["result"]] += 1
            if test["result"] == "valid":
                verify_signature(key_type, bytes.fromhex(public), message, signature)
            else:
                with pytest.raises(Tampering):
                    verify_signature(key_type, bytes.fromhex(public), message, signature)
    assert min(seen.values()) > 10


def test_the_worked_example_of_the_formats(foreign_vectors: Path) -> None:
    example = json.loads((foreign_vectors / "tallystick" / "entry.json").read_text())
    chain = Chain("bank.example/ledger/customers")
    leaves = []
    for number, entry in enumerate(example["entries"]):
        raw = entry["stub"].encode()
        leaf = leaf_hash(raw)
        assert leaf.hex() == entry["hash"]
        stub = chain.take(raw, leaf)
        assert stub == parse_stub(raw)
        assert stub.kind == entry["kind"]
        assert [part_hash(part.encode()).hex() for part in entry["parts"]] == entry["part_hashes"]
        check_body(stub, [strictjson.read(part.encode()) for part in entry["parts"]])
        leaves.append(leaf)
        assert tree_root(leaves).hex() == example["log_roots"][number + 1]
    assert chain.seals == 2


def test_the_example_of_signed_note() -> None:
    """The note in C2SP signed-note, verified by the key that stands there."""
    from tallystick_verify.note import parse_vkey, split_note

    key = parse_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    text, signatures = split_note(
        "This is an example message.\n\n— example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".encode()
    )
    ((name, key_id, signature),) = signatures
    assert (name, key_id) == (key.name, key.key_id)
    assert key.verify(text, Checkpoint("unused", 0, b""), signature) is None
    with pytest.raises(Tampering):
        key.verify(text + b"\n", Checkpoint("unused", 0, b""), signature)
    assert isinstance(key, VerifierKey)
