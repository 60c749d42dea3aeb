"""Trust policies: what is one, and which checkpoints they accept."""

from __future__ import annotations

import dataclasses

import pytest
import samples

from tallystick.core.digest import Seconds
from tallystick.core.note import Note, SignatureLine, SignatureRefused, SignatureType, VerifierKey
from tallystick.core.policy import AcceptedCheckpoint, Group, Log, Policy, PolicyUnmet, Witness
from tallystick.errors import Malformed


def vkey(name: str, kind: SignatureType = SignatureType.ED25519_COSIGNATURE) -> str:
    return samples.cosigner(name, kind).key.format()


LOG = f"log {vkey('log.example', SignatureType.ED25519)}\n"
A, B, C = (f"witness {n} {vkey(n)}\n" for n in "ABC")


def test_the_shape_of_the_specifications_example() -> None:
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    lines = "".join(f"witness {n} {vkey(n)}\n" for n in names)
    raw = (
        f"{LOG}\n{lines}\ngroup X-witnesses 2 X1 X2 X3\n  # organisations\n"
        "group Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    policy = Policy.parse(raw.encode())
    assert [group.threshold for group in policy.groups] == [2, 1, 2]
    assert policy.quorum == "X-and-Y"
    assert [witness.name for witness in policy.witnesses] == names


NOT_POLICIES = [
    ("", "no quorum"),
    ("quorum none", "line feed"),
    ("quorum none\nquorum none\n", "line 2: a policy has two quorum"),
    ("quorum A\n" + A, "line 1: the quorum is not defined"),
    ("quorum none x\n", "line 1: wrong number"),
    ("Quorum none\n", "line 1: unknown keyword"),
    ("\x00quorum none\n", "control character; position 0"),
    ("quorum none\r\n", "control character; position 11"),
    ("quorum none\x7f\n", "control character; position 11"),
    (LOG + LOG + "quorum none\n", "line 2: two logs share"),
    (A + A.replace(" A ", " B ") + "quorum none\n", "line 2: two witnesses share"),
    (A + B.replace(" B ", " A ") + "quorum none\n", "line 2: a name is defined twice"),
    (A.replace(" A ", " none ") + "quorum none\n", "line 1: a name is defined twice"),
    (A + "group g any\nquorum g\n", "line 2: wrong number"),
    (A + "group g any none\nquorum g\n", "line 2: a group has a member that is not defined"),
    (A + "group g any g\nquorum g\n", "line 2: a group has a member that is not defined"),
    (A + "group g any A A\nquorum g\n", "line 2: a name is a member twice"),
    (A + B + "group g any A\ngroup h any A B\nquorum h\n", "line 4: a name is a member twice"),
    (A + "group A any A\nquorum A\n", "line 2: a name is defined twice"),
    (A + "group g 0 A\nquorum g\n", "line 2: a group asks for"),
    (A + "group g 2 A\nquorum g\n", "line 2: a group asks for"),
    (A + "group g 01 A\nquorum g\n", "line 2: threshold is not a plain decimal"),
    (A + "group g some A\nquorum g\n", "line 2: threshold is not a plain decimal"),
    (A.replace("witness A", "log") + "quorum none\n", "line 1: not a key for a log"),
    (LOG.replace("log ", "witness A ") + "quorum none\n", "line 1: not a key for a witness"),
    ("log x\nquorum none\n", "line 1: not a verifier key"),
    (LOG.replace("\n", " https://a https://b\n") + "quorum none\n", "line 1: wrong number"),
]


@pytest.mark.parametrize("raw, reason", NOT_POLICIES, ids=map(str, range(len(NOT_POLICIES))))
def test_policies_that_are_none(raw: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        Policy.parse(raw.encode())


def test_names_are_octets() -> None:
    raw = A.replace(" A ", " \u212a ") + B.replace(" B ", " K ") + "quorum \u212a\n"
    assert Policy.parse(raw.encode()).quorum == "\u212a"
    latin = raw.encode().replace("\u212a".encode(), b"\xe9")
    assert Policy.parse(latin).format() == latin


def test_thirty_two_of_each_and_many_more() -> None:
    witnesses = "".join(f"witness w{i} {vkey(f'w{i}')}\n" for i in range(64))
    logs = "".join(f"log {vkey(f'l{i}', SignatureType.ED25519)}\n" for i in range(32))
    nested = "group g0 any w0\n" + "".join(f"group g{i} all g{i - 1} w{i}\n" for i in range(1, 64))
    policy = Policy.parse(f"{logs}{witnesses}{nested}quorum g63\n".encode())
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 64, 64)


def test_deep_groups_do_not_exhaust_the_stack() -> None:
    ledger = samples.ledger()
    groups = [Group("g0", 1, ("log-pq",))] + [Group(f"g{i}", 1, (f"g{i - 1}",)) for i in range(1, 1000)]
    own = samples.both_keys()
    policy = Policy.parse(dataclasses.replace(own, groups=tuple(groups), quorum="g999").format())
    assert policy.accept(ledger.note()).witnesses == {"log-pq": 1_795_478_401}


# --- which checkpoints are accepted


def test_both_keys_of_the_log() -> None:
    accepted = samples.both_keys().accept(samples.ledger().note())
    assert accepted.checkpoint == samples.ledger().checkpoint()
    assert [key.type for key in accepted.logs] == [SignatureType.ED25519]
    assert accepted.witnesses == {"log-pq": 1_795_478_401}
    assert accepted.outside == ()


@pytest.mark.parametrize("keep, missing", [(0, "log-pq"), (1, "has not signed")])
def test_one_of_two_signatures_stripped(keep: int, missing: str) -> None:
    note = Note.parse(samples.ledger().note())
    stripped = Note(note.text, (note.signatures[keep],)).format()
    with pytest.raises(PolicyUnmet, match=missing):
        samples.both_keys().accept(stripped)


def test_witnesses_count_by_group() -> None:
    ledger, policy = samples.ledger(), samples.witnessed()
    accepted = policy.accept(ledger.note(cosigned=True))
    assert accepted.witnesses == {"log-pq": 1_795_478_401, "w1": 1_795_478_402, "w2": 1_795_478_402}
    assert accepted.outside == ("w1", "w2")
    w1, _ = samples.witnesses()
    one = Note.parse(ledger.note()).signed_also([w1.line(ledger.checkpoint(), 3)]).format()
    assert policy.accept(one).outside == ("w1",)
    with pytest.raises(PolicyUnmet, match=r"missing 1 more of all-of-it \(1 more of outside \(w1, w2\)\)"):
        policy.accept(ledger.note())
    both = dataclasses.replace(policy.groups[0], threshold=2)
    with pytest.raises(PolicyUnmet, match=r"1 more of outside \(w2\)"):
        dataclasses.replace(policy, groups=(both, policy.groups[1])).accept(one)


def test_a_witness_that_signed_twice_counts_once_with_its_latest_time() -> None:
    ledger = samples.ledger()
    w1, _ = samples.witnesses()
    lines = [w1.line(ledger.checkpoint(), time) for time in (5, 9, 7)]
    accepted = samples.witnessed().accept(Note.parse(ledger.note()).signed_also(lines).format())
    assert accepted.witnesses["w1"] == Seconds(9)


def test_a_failing_cosignature_of_a_known_witness_refuses_all() -> None:
    ledger = samples.ledger()
    w1, _ = samples.witnesses()
    broken = SignatureLine(w1.key.name, w1.key.key_id, bytes(72))
    raw = Note.parse(ledger.note(cosigned=True)).signed_also([broken]).format()
    with pytest.raises(SignatureRefused, match=r"witness\.example/w1"):
        samples.witnessed().accept(raw)
    assert samples.both_keys().accept(raw).outside == ()  # who does not know the witness ignores it


def test_another_log() -> None:
    raw = samples.ledger().note()
    stranger = Log(samples.cosigner("other.example/log", SignatureType.ED25519).key)
    with pytest.raises(PolicyUnmet, match="does not trust this log"):
        Policy((stranger,), (), (), "none").accept(raw)
    impostor = Log(samples.cosigner(samples.ORIGIN, SignatureType.ED25519).key)
    with pytest.raises(PolicyUnmet, match="has not signed"):
        Policy((impostor,), (), (), "none").accept(raw)
    with pytest.raises(PolicyUnmet, match="does not trust this log"):
        Policy((), (), (), "none").accept(raw)


def test_a_witness_alone_is_no_log() -> None:
    ledger = samples.ledger()
    w1, _ = samples.witnesses()
    raw = Note(ledger.checkpoint().format(), (w1.line(ledger.checkpoint(), 1),)).format()
    log = samples.both_keys().logs
    with pytest.raises(PolicyUnmet, match="has not signed"):
        Policy(log, (Witness("w1", w1.key),), (), "w1").accept(raw)


def test_a_log_may_sign_with_mldsa_alone_where_the_policy_says_so() -> None:
    _, pq = samples.both_keys().logs[0], samples.both_keys().witnesses[0]
    assert Policy((Log(pq.key),), (), (), "none").accept(samples.ledger().note()).logs == (pq.key,)


def test_nothing_else_makes_an_accepted_checkpoint() -> None:
    accepted = samples.both_keys().accept(samples.ledger().note())
    with pytest.raises(TypeError):
        AcceptedCheckpoint(accepted.checkpoint, accepted.note, (), {}, (), object())


def test_keys_are_told_apart_by_the_public_key() -> None:
    key = VerifierKey.parse(vkey("A"))
    renamed = VerifierKey("another", key.type, key.public_key)
    with pytest.raises(Malformed, match="two witnesses share"):
        Policy.parse(f"witness a {key}\nwitness b {renamed}\nquorum a\n".encode())
