"""Attacks on published evidence, at the strength that each needs, and who is named.

Where a signature would already give the attacker away, he has stolen the keys: the rule under test must notice alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tallystick_verify import Tampering, open_source, parse_policy, strictjson, verify_ledger, verify_receipt
from tallystick_verify.errors import shown
from tallystick_verify.merkle import leaf_hash, node_hash, verify_inclusion

from .conftest import Notice, Verify
from .ledger_builder import ORIGIN, Ledger, Signer, canonical, path_of, root_of, small_ledger, write


def verify_public(files: dict[str, bytes], policy: bytes) -> None:
    with TemporaryDirectory() as folder:
        verify_ledger(open_source(str(write(files, Path(folder)))), parse_policy(policy))


def test_nothing_is_noticed_where_nothing_was_done(verify: Verify, ledger: Ledger) -> None:
    report = verify(ledger, seen=[ledger.checkpoint(6)])
    assert (report.exit_code, report.verdict) == (0, "verified")
    assert [step.outcome for step in report.steps] == ["ok"] * 11


@pytest.mark.threat(1)
def test_an_edited_entry_is_named(notice: Notice, ledger: Ledger) -> None:
    signed, policy, leaf = ledger.checkpoint(), ledger.policy(), ledger.entries[4].leaf
    files = ledger.files()
    ledger.entries[4].stub = ledger.entries[4].stub.replace(b'"parts":5', b'"parts":6')
    edited = ledger.files(signed)
    for mended, step, seq in (("tile/entries/000.p/18",), 2, 4), ((*edited,), 4, 5):  # the entry alone; its tile too
        with pytest.raises(Tampering) as caught:
            verify_public(files | {name: edited[name] for name in mended}, policy)
        facts = caught.value.facts
        assert (facts["step"], facts["seq"], facts["ledger"]) == (step, seq, ORIGIN)
        assert {shown(facts["expected"]), shown(facts["found"])} == {leaf.hex(), ledger.entries[4].leaf.hex()}
    found = notice(ledger, signed)  # with its body at hand
    assert (found.facts["step"], found.facts["seq"]) == (10, 4)


@pytest.mark.threat(1)
def test_an_edited_part_is_named(notice: Notice, ledger: Ledger) -> None:
    ledger.entries[3].parts[2][2]["amount"] = "1051"
    found = notice(ledger)
    assert (found.facts["step"], found.facts["seq"]) == (10, 3)


@pytest.mark.threat(2)
def test_a_deleted_entry_leaves_a_gap(notice: Notice, ledger: Ledger) -> None:
    del ledger.entries[7]
    found = notice(ledger)
    assert found.message == "entries 7 to 7 are missing"
    assert [found.facts[name] for name in ("step", "ledger", "seq", "expected", "found")] == [3, ORIGIN, 7, 7, 8]


@pytest.mark.threat(3)
def test_an_inserted_entry_breaks_the_chain(notice: Notice, ledger: Ledger) -> None:
    ledger.entries.insert(7, ledger.entries[6])
    assert notice(ledger).facts["seq"] == 7
    ledger.entries[7:] = [  # numbered anew, and dated anew, but not chained
        type(entry)(canonical(json.loads(entry.stub) | {"seq": 7 + i, "at": ledger.at + 1 + i}), entry.parts)
        for i, entry in enumerate(ledger.entries[7:])
    ]
    found = notice(ledger)
    assert found.message == "the chain is broken before this entry"
    assert (found.facts["step"], found.facts["seq"]) == (4, 7)
    assert found.facts["expected"] == ledger.entries[6].leaf.hex()


@pytest.mark.threat(3)
def test_reordered_entries(notice: Notice, ledger: Ledger) -> None:
    ledger.entries[3], ledger.entries[4] = ledger.entries[4], ledger.entries[3]
    assert notice(ledger).facts["seq"] == 3


@pytest.mark.threat(4, 5)
def test_a_tail_cut_off_is_behind_the_signed_size(notice: Notice, ledger: Ledger) -> None:
    seen = ledger.checkpoint()
    del ledger.entries[6:]
    found = notice(ledger, seen=[seen])
    assert found.message.startswith("regression")
    assert (found.facts["step"], found.facts["expected"], found.facts["found"]) == (8, "at least 18", 6)


@pytest.mark.threat(4)
def test_an_entry_bundle_cut_short(ledger: Ledger) -> None:
    files = ledger.files()
    files["tile/entries/000.p/18"] = files["tile/entries/000.p/18"][: -2 - len(ledger.entries[-1].stub)]
    with pytest.raises(Tampering, match="another number of entries") as caught:
        verify_public(files, ledger.policy())
    assert (caught.value.facts["expected"], caught.value.facts["found"]) == (18, 17)


@pytest.mark.threat(6)
def test_history_rewritten_without_the_key(notice: Notice, ledger: Ledger) -> None:
    """Everything recomputed: bodies, stubs, chain, tiles. Only the signature cannot be."""
    signed, policy = ledger.checkpoint(), ledger.policy()
    other = small_ledger()
    other.entries[1].stub = other.entries[1].stub.replace(b'"kind":"account"', b'"kind":"event"')
    other.relink(2)
    other.entries[5].stub = other.entries[5].stub.replace(
        root_of(ledger.leaves[:5]).hex().encode(), root_of(other.leaves[:5]).hex().encode()
    )
    other.relink(6)
    leaves = other.leaves[6:17]
    other.entries[17].stub = other.entries[17].stub.replace(
        root_of(ledger.leaves[6:17]).hex().encode(), root_of(leaves).hex().encode()
    )
    for entry, true in zip(other.entries, ledger.entries, strict=True):
        entry.parts = true.parts
    with pytest.raises(Tampering, match="not those that were signed"):
        verify_public(other.files(signed), policy)
    # With keys of his own under the log's name: unknown keys; under the log's key ID: a bad signature.
    other.log = Signer(ORIGIN, secret="thief")
    assert notice(other, policy=policy).message == "not signed by a log that the policy trusts"
    other.log.key_id = ledger.log.key_id  # type: ignore[method-assign]
    found = notice(other, policy=policy)
    assert (found.message, found.facts["signer"]) == ("bad signature", ORIGIN)


@pytest.mark.threat(7, 8)
def test_history_rewritten_with_the_stolen_key(notice: Notice, verify: Verify) -> None:
    """Two good histories under one key: only what somebody kept tells them apart."""
    true, other = small_ledger(), small_ledger(accounts="explicit")
    del other.entries[2:], true.entries[6:]
    other.batch = other.first = 0
    other.at = json.loads(other.entries[-1].stub)["at"]
    while len(other.entries) < 5:
        other.add("event", ("by", "user:x"), ("id", f"e{len(other.entries)}"), ("event", "nothing to see"))
    other.seal()
    assert verify(other).exit_code == 0
    found = notice(other, seen=[true.checkpoint(6)])
    assert found.message.startswith("two signed roots of one size")
    other.add("event", ("by", "user:x"), ("id", "later"), ("event", "growing on"))
    found = notice(other, seen=[true.checkpoint(6)])
    assert found.message.startswith("history was rewritten")
    assert found.facts["tree_size"] == 6


@pytest.mark.threat(10)
@pytest.mark.parametrize("kind", ["genesis", "event"])
def test_a_chain_that_begins_again(notice: Notice, ledger: Ledger, kind: str) -> None:
    body = {"accounts": "implicit", "by": "user:x", "keys": []} if kind == "genesis" else None
    ledger.add(kind, *[("by", "user:x")] if body is None else [], body=body, prev="0" * 64)
    found = notice(ledger)
    assert found.message.startswith("chain reset")
    assert (found.facts["step"], found.facts["seq"]) == (4, 18)


@pytest.mark.threat(10)
def test_a_second_genesis_that_is_linked(notice: Notice, ledger: Ledger) -> None:
    ledger.add("genesis", body={"accounts": "implicit", "by": "user:x", "keys": []})
    assert notice(ledger).message.startswith("chain reset")


@pytest.mark.threat(11)
@pytest.mark.parametrize("line", [0, 1])
def test_one_of_two_signatures_stripped(notice: Notice, ledger: Ledger, line: int) -> None:
    text, _, signatures = ledger.checkpoint().rpartition(b"\n\n")
    kept = signatures.splitlines(keepends=True)[1 - line]
    found = notice(ledger, text + b"\n\n" + kept)
    assert found.facts["step"] == 1
    assert (
        found.message == ("not signed by a log that the policy trusts", "the quorum of the policy is not reached")[line]
    )


def test_a_policy_that_does_without_one_of_the_keys_says_so(verify: Verify, ledger: Ledger) -> None:
    report = verify(ledger, policy=f"log {ledger.log.vkey(1)}\nquorum none\n".encode())
    assert any("which the policy does not ask for" in open_.what for open_ in report.unchecked)
    assert not any("does not ask for" in open_.what for open_ in verify(ledger).unchecked)


@pytest.mark.threat(11)
def test_one_failing_signature_refuses_all(notice: Notice, ledger: Ledger) -> None:
    witness = Signer("witness.example/w", 0x04)
    policy = ledger.policy().replace(b"group all", f"witness spare {witness.vkey(4)}\ngroup all".encode())
    good = ledger.checkpoint() + witness.line(4, ledger.text(), 1)
    bad = ledger.checkpoint() + witness.line(4, ledger.text(3), ledger.at // 10**6)
    assert notice(ledger, good, policy).message.startswith("time anomaly")
    assert notice(ledger, bad, policy).message == "bad signature"


@pytest.mark.threat(12)
def test_a_leaf_is_no_node() -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(8)]
    node = node_hash(leaves[0], leaves[1])
    nodes = [node_hash(leaves[i], leaves[i + 1]) for i in range(0, 8, 2)]
    verify_inclusion(node, 0, 4, path_of(0, nodes), root_of(leaves))  # the same root, were the size not signed
    with pytest.raises(Tampering, match="too short"):
        verify_inclusion(node, 0, 8, path_of(0, nodes), root_of(leaves))
    assert leaf_hash(leaves[0] + leaves[1]) != node


@pytest.mark.threat(13)
@pytest.mark.parametrize(
    "raw,position",
    [
        (b'{"a":1,"b":2,"a":3}', 13),
        (b'{"a":{"b":1,"b":1}}', 12),
        (b'{"a":NaN}', 5),
        (b'{"a":-Infinity}', 5),
        (b'{"a":1.0}', 5),
        (b'{"a":1e2}', 5),
        (b'{"a":9007199254740992}', 5),
        (b'{"a":"\\ud800"}', 6),
        (b'{"a":"\\u0041"}', 6),
        (b'{"a":"e\\u0301"}', 7),
        (b'{"b":1,"a":2}', 2),
        (b'{"a": 1}', 5),
        (b'{"a":01}', 6),
        (b'{"a":-0}', 5),
        (b'{"a":+1}', 5),
        (b'\xef\xbb\xbf{"a":1}', 0),
        (b'{"a":"\xff"}', 6),
        (b'{"a":"\t"}', 6),
        (b'{"a":1}\n', 7),
        (b'{"a":1}{}', 7),
        (b"[" * 100_000, 0),
        (b"", 0),
    ],
)
def test_ambiguous_json_is_refused_with_its_position(raw: bytes, position: int) -> None:
    with pytest.raises(Tampering) as caught:
        strictjson.read(raw)
    assert caught.value.facts["position"] == position


def test_members_stand_in_the_order_of_utf_16() -> None:
    """RFC 8785 §3.2.3: U+1F600 is D83D DE00 there, and comes before U+FB33."""
    assert strictjson.write({"\ufb33": 1, "\U0001f600": 2, "a": {"\ufb33": 3, "\U0001f600": 4}}) == (
        '{"a":{"\U0001f600":4,"\ufb33":3},"\U0001f600":2,"\ufb33":1}'.encode()
    )
    with pytest.raises(Tampering):
        strictjson.read('{"\ufb33":1,"\U0001f600":2}'.encode())


@pytest.mark.threat(13)
@pytest.mark.parametrize(
    "change",
    [
        lambda stub: stub.replace(b'"seq":4', b'"seq":4.0'),
        lambda stub: stub.replace(b'"seq":4', b'"seq":4,"seq":4'),
        lambda stub: stub.replace(b'"v":1', b'"v":1,"w":2'),
        lambda stub: stub.replace(b'"v":1', b'"v":true'),
        lambda stub: stub.replace(b'"v":1', b'"v":2'),
        lambda stub: stub.replace(b'"v":1', b'"v": 1'),
        lambda stub: stub.replace(b'"kind":"transaction"', b'"kind":"transact\\u0069on"'),
        lambda stub: stub.replace(b'"kind":"transaction"', b'"kind":"Transaction"'),
        lambda stub: stub.replace(b'"at":1', b'"at":01'),
        lambda stub: stub.replace(b'"parts":5', b'"parts":65537'),
        lambda stub: stub.replace(b'"parts":5', b'"parts":-5'),
    ],
)
def test_a_stub_that_is_not_canonical(notice: Notice, ledger: Ledger, change: Callable[[bytes], bytes]) -> None:
    before = ledger.entries[4].stub
    ledger.entries[4].stub = change(before)
    assert ledger.entries[4].stub != before
    found = notice(ledger)
    assert (found.facts["step"], found.facts["seq"]) == (3, 4)


@pytest.mark.threat(14)
def test_an_entry_dated_back(notice: Notice) -> None:
    for later in (0, -(10**6)):
        copy = small_ledger()
        copy.add("event", ("by", "user:x"), ("id", "late"), ("event", "dated back"), later=later)
        found = notice(copy)
        assert found.message.startswith("time anomaly")
        assert (found.facts["step"], found.facts["seq"]) == (3, 18)


@pytest.mark.threat(14)
def test_a_clock_that_ran_ahead_of_the_witness(notice: Notice) -> None:
    witness = Signer("witness.example/w", 0x04)
    ledger = small_ledger(witnesses=[witness])
    signed = ledger.checkpoint(seconds=ledger.at // 10**6)
    own = b"".join(signed.splitlines(keepends=True)[:-1])
    found = notice(ledger, own + witness.line(4, ledger.text(), ledger.at // 10**6 - 301))
    assert (found.message, found.facts["signer"]) == (
        "time anomaly: signed before an entry it covers",
        witness.name,
    )


@pytest.mark.threat(14)
def test_a_log_that_signs_with_another_time_than_its_seals(notice: Notice, ledger: Ledger) -> None:
    for seconds, what in ((ledger.at // 10**6 + 1, "with another time"), (ledger.at // 10**6 - 1, "before an entry")):
        found = notice(ledger, ledger.checkpoint(seconds=seconds))
        assert what in found.message
        assert found.facts["step"] == 9


class TestReceipts:
    def test_a_receipt_shows_what_it_shows(self, ledger: Ledger) -> None:
        report = verify_receipt(ledger.proof(3), ledger.disclosure(3, [1, 2]), parse_policy(ledger.policy()))
        assert report.exit_code == 0
        assert report.steps[3].detail == "2 of 7: id, legs/0"
        assert any("5 of 7 parts were not shown" in open_.what for open_ in report.unchecked)

    def test_all_parts_and_destroyed_ones(self, ledger: Ledger) -> None:
        ledger.destroy(3, "metadata/invoice")
        policy = parse_policy(ledger.policy())
        for indexes in (None, [6]):
            report = verify_receipt(ledger.proof(3), ledger.disclosure(3, indexes), policy)
            assert any("destroyed" in open_.what for open_ in report.unchecked)

    @pytest.mark.parametrize(
        "change,step",
        [
            (lambda d: d | {"parts": [d["parts"][0] | {"part": d["parts"][0]["part"].replace("pay-1", "pay-9")}]}, 4),
            (lambda d: d | {"parts": [d["parts"][0] | {"index": 2}]}, 4),
            (lambda d: d | {"parts": [d["parts"][0] | {"path": d["parts"][0]["path"][1:]}]}, 4),
            (lambda d: d | {"parts": [{k: v for k, v in d["parts"][0].items() if k != "path"}]}, 4),
            (lambda d: d | {"parts": d["parts"] * 2}, 2),
            (lambda d: d | {"stub": d["stub"].replace('"seq":3', '"seq":4')}, 2),
            (lambda d: d | {"stub": d["stub"].replace('"batch":0', '"batch":1')}, 3),
            (lambda d: d | {"stub": d["stub"].replace("bank.example", "bunk.example")}, 2),
            (lambda d: d | {"v": True}, 2),
            (lambda d: d | {"w": 1}, 2),
        ],
    )
    def test_a_disclosure_that_was_changed(self, ledger: Ledger, change: Callable[..., object], step: int) -> None:
        disclosure = canonical(change(json.loads(ledger.disclosure(3, [1]))))
        with pytest.raises(Tampering) as caught:
            verify_receipt(ledger.proof(3), disclosure, parse_policy(ledger.policy()))
        assert caught.value.facts["step"] == step

    def test_the_proof_of_another_entry(self, ledger: Ledger) -> None:
        with pytest.raises(Tampering, match="of another entry"):
            verify_receipt(ledger.proof(4), ledger.disclosure(3, [1]), parse_policy(ledger.policy()))

    def test_extra_is_said_to_be_nobodys_word(self, ledger: Ledger) -> None:
        proof = ledger.proof(3, extra=b"trust me")
        report = verify_receipt(proof, ledger.disclosure(3, [1]), parse_policy(ledger.policy()))
        assert any("extra" in open_.what for open_ in report.unchecked)


class TestBatches:
    @pytest.mark.parametrize("wrong", [{"batch": 1}, {"first": 1}, {"count": 4}, {"root": "00" * 32}, {"more": 1}])
    def test_a_seal_states_its_batch(self, notice: Notice, wrong: dict[str, object]) -> None:
        ledger = Ledger()
        ledger.pay("p", "a", "b", 1)
        ledger.seal(**wrong)
        found = notice(ledger)
        assert (found.facts["step"], found.facts["seq"]) == (5, 2)

    def test_an_entry_of_another_batch(self, notice: Notice, ledger: Ledger) -> None:
        ledger.batch = 7
        ledger.pay("p", "a", "b", 1)
        found = notice(ledger)
        assert [found.facts[name] for name in ("step", "seq", "expected", "found")] == [5, 18, 2, 7]

    def test_an_entry_of_another_ledger(self, notice: Notice, ledger: Ledger) -> None:
        ledger.pay("p", "a", "b", 1)
        ledger.entries[-1].stub = ledger.entries[-1].stub.replace(b"customers", b"partners!")
        assert notice(ledger).message == "the entry is of another ledger"

    def test_what_is_not_sealed_yet_is_said(self, verify: Verify, ledger: Ledger) -> None:
        ledger.pay("p", "a", "b", 1)
        assert any("entries 18 to 18 are in no sealed batch" in open_.what for open_ in verify(ledger).unchecked)
