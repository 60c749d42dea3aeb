"""Hypothesis strategies of the public formats: whatever they draw is valid, and so can be printed and parsed again."""

from __future__ import annotations

from hypothesis import strategies as st

from tallystick.core.body import Body, Disclosure, Part, disclose
from tallystick.core.bundle import Manifest
from tallystick.core.checkpoint import Checkpoint
from tallystick.core.cosignature import TimestampedSignature
from tallystick.core.digest import EMPTY_ROOT, ZERO_DIGEST, Digest, LeafIndex, Microseconds, Seconds, TreeSize
from tallystick.core.encoding import canonical
from tallystick.core.note import Note, SignatureLine, SignatureType, VerifierKey
from tallystick.core.policy import Group, Log, Policy, Witness
from tallystick.core.proof import Proof
from tallystick.core.stub import OPEN_KINDS, Stub
from tallystick.core.tiles import Tile

digests = st.binary(min_size=32, max_size=32).map(Digest)
sizes = st.integers(0, 2**63 - 1)
safe_integers = st.integers(0, 2**53 - 1)
seconds = sizes.map(Seconds)

scalars = st.characters(exclude_categories=("Cs",))
text = st.text(scalars, max_size=12)
names = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="+"), max_size=20)
    .map(lambda name: "".join(c for c in name if not c.isspace()))
    .filter(bool)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    size = TreeSize(draw(sizes))
    return Checkpoint(draw(names), size, draw(digests) if size else EMPTY_ROOT)


timestamped_signatures = st.builds(TimestampedSignature, seconds, st.binary(min_size=1, max_size=64))


@st.composite
def verifier_keys(draw: st.DrawFn, types: tuple[SignatureType, ...] = tuple(SignatureType)) -> VerifierKey:
    kind = draw(st.sampled_from(types))
    length = 1312 if kind is SignatureType.MLDSA44_COSIGNATURE else 32
    return VerifierKey(draw(names), kind, draw(st.binary(min_size=16, max_size=16)) * (length // 16))


signature_lines = st.builds(SignatureLine, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
note_texts = st.text(st.characters(exclude_categories=("Cs",), min_codepoint=0x20) | st.just("\n"), max_size=60).map(
    lambda t: f"{t}\n".encode()
)


def notes(texts: st.SearchStrategy[bytes] = note_texts) -> st.SearchStrategy[Note]:
    return st.builds(Note, texts, st.lists(signature_lines, min_size=1, max_size=4).map(tuple))


proofs = st.builds(
    Proof,
    sizes.map(LeafIndex),
    st.lists(digests, max_size=8).map(tuple),
    notes(checkpoints().map(Checkpoint.format)),
    st.binary(max_size=20),
)

tiles = st.builds(Tile, st.none() | st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))


@st.composite
def stubs(draw: st.DrawFn, body: Body | None = None) -> Stub:
    """Of an open kind; or, given a body, of a private one."""
    kinds = sorted(OPEN_KINDS) if body is None else ["transaction", "account", "event", "capture", "x_y"]
    seq = draw(safe_integers)
    return Stub(
        at=Microseconds(draw(safe_integers)),
        batch=draw(safe_integers),
        body=draw(st.dictionaries(text, json_values, max_size=3)) if body is None else body.root,
        kind=draw(st.sampled_from(kinds)),
        ledger=draw(names),
        parts=0 if body is None else len(body.parts),
        prev=draw(digests) if seq else ZERO_DIGEST,
        seq=LeafIndex(seq),
    )


@st.composite
def parts(draw: st.DrawFn) -> Part:
    salt = draw(st.binary(min_size=16, max_size=16)).hex()
    path = draw(st.text(scalars, min_size=1, max_size=20))
    return Part.parse(canonical([salt, path, draw(json_values)]))


def bodies(*, destroyed: bool = True) -> st.SearchStrategy[Body]:
    part: st.SearchStrategy[Part | Digest] = parts() | digests if destroyed else parts()
    return st.lists(part, min_size=1, max_size=9).map(lambda found: Body(tuple(found)))


@st.composite
def disclosures(draw: st.DrawFn) -> Disclosure:
    """Of some parts or all, every one of them true."""
    body = draw(st.just(Body(())) | bodies())
    stub = draw(stubs(body if body.parts else None))
    indexes = draw(st.none() | st.sets(st.integers(0, len(body.parts) - 1)) if body.parts else st.none())
    return disclose(stub.format(), body, indexes)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    def unique(keys: list[VerifierKey]) -> list[VerifierKey]:
        return list({key.public_key: key for key in keys}.values())

    log_types = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)
    witness_types = (SignatureType.ED25519_COSIGNATURE, SignatureType.MLDSA44_COSIGNATURE)
    urls = st.none() | st.just("https://log.example/x")
    logs = [Log(key, draw(urls)) for key in unique(draw(st.lists(verifier_keys(log_types), max_size=2)))]
    keys = unique(draw(st.lists(verifier_keys(witness_types), max_size=5)))
    witnesses = [Witness(f"w{i}é", key, draw(urls)) for i, key in enumerate(keys)]
    free, groups, defined = [w.name for w in witnesses], [], [w.name for w in witnesses]
    while free and draw(st.booleans()):
        members, free = free[: (n := draw(st.integers(1, len(free))))], free[n:]
        group = Group(f"g{len(groups)}", draw(st.integers(1, n)), tuple(members))
        groups.append(group)
        free.append(group.name)
        defined.append(group.name)
    return Policy(tuple(logs), tuple(witnesses), tuple(groups), draw(st.sampled_from(["none", *defined])))


bundle_paths = st.sampled_from(
    ["policy", "checkpoint", "checkpoints/12", "entries/0.json", "entries/7.tlog-proof"]
) | tiles.map(str)
manifests = st.builds(
    Manifest,
    st.sampled_from(["ledger", "receipts"]),
    names,
    safe_integers.map(TreeSize),
    st.dictionaries(bundle_paths, digests.map(bytes.hex), max_size=4),
    st.lists(text, max_size=3).map(tuple),
)
