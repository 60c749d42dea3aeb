"""Evidence bundles: what they show and do not show, and that no byte of them can be changed unseen."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pytest
import samples

from tallystick.core import bundle
from tallystick.core.archive import read_zip, write_zip
from tallystick.core.bundle import BundleBroken, Manifest, check_path, make_bundle, verify_bundle
from tallystick.core.encoding import canonical, parse_canonical
from tallystick.core.note import Note
from tallystick.core.policy import PolicyUnmet
from tallystick.core.receipt import Assurance
from tallystick.core.tiles import format_bundle
from tallystick.errors import IntegrityViolation, Malformed, Rejected

LEDGER = samples.ledger()
BUNDLE = "tile/entries/000.p/12"


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    return LEDGER.bundle()


@pytest.fixture(scope="module")
def receipts() -> dict[str, bytes]:
    return LEDGER.receipts(1, 6)


def listed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with a manifest that a forger made to fit."""
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items() if path != "manifest.json"}
    manifest = dataclasses.replace(Manifest.parse(files["manifest.json"]), files=hashes)
    return files | {"manifest.json": manifest.format()}


def test_what_a_bundle_of_a_ledger_shows(whole: dict[str, bytes]) -> None:
    shown = verify_bundle(whole, samples.both_keys())
    assert (shown.entries, shown.readable, shown.earlier) == (12, 9, (2, 6))
    assert shown.checkpoint.checkpoint == LEDGER.checkpoint()
    assert shown.assurance is Assurance.SEALED
    assert not shown.policy_is_enclosed
    assert [sentence.split()[0] for sentence in shown.not_shown] == ["Entries", "When", "Double"]
    assert shown.manifest.cannot_show == shown.not_shown


def test_what_a_bundle_of_receipts_shows(receipts: dict[str, bytes]) -> None:
    shown = verify_bundle(receipts)
    assert (shown.entries, shown.readable, sorted(shown.receipts)) == (2, 0, [1, 6])
    assert shown.policy_is_enclosed
    assert any("not enclosed" in sentence for sentence in shown.not_shown)
    assert any(sentence.startswith("What 2 entries say") for sentence in shown.not_shown)


def test_a_ledger_of_more_than_a_tile() -> None:
    ledger = samples.ledger(600, 100)
    assert verify_bundle(ledger.bundle(), samples.both_keys()).entries == 600


def test_parts_that_are_destroyed_are_named() -> None:
    body = LEDGER.bodies[1].destroy({6})
    entries = {1: (samples.disclose(LEDGER.stubs[1], body).format(), None)}
    files = make_bundle(samples.both_keys(), LEDGER.note(), {}, entries, LEDGER.tiles())
    shown = verify_bundle(files, samples.both_keys())
    assert shown.hidden == ((1, 6),)
    assert any(sentence.startswith("What 9 entries say") for sentence in shown.not_shown)


def test_a_witnessed_bundle() -> None:
    files = make_bundle(samples.witnessed(), LEDGER.note(cosigned=True), {}, {}, LEDGER.tiles())
    assert verify_bundle(files, samples.witnessed()).assurance is Assurance.WITNESSED
    with pytest.raises(PolicyUnmet, match="outside"):
        verify_bundle(LEDGER.bundle(), samples.witnessed())


def test_the_enclosed_policy_is_a_suggestion() -> None:
    """A forger encloses a policy that trusts the forger's own key."""
    forger = samples.cosigner(samples.ORIGIN, samples.SignatureType.ED25519)
    policy = samples.Policy((samples.Log(forger.key),), (), (), "none")
    note = Note(LEDGER.checkpoint().format(), (forger.line(LEDGER.checkpoint(), 0),)).format()
    files = make_bundle(policy, note, {}, {}, LEDGER.tiles())
    assert verify_bundle(files).policy_is_enclosed
    with pytest.raises(PolicyUnmet):
        verify_bundle(files, samples.both_keys())


def test_a_bundle_of_no_receipts_shows_nothing(receipts: dict[str, bytes]) -> None:
    bare = {path: data for path, data in receipts.items() if not path.startswith("entries/")}
    with pytest.raises(BundleBroken, match="holds none"):
        verify_bundle(listed(bare), samples.both_keys())


@pytest.mark.parametrize("forged", [False, True], ids=["manifest kept", "manifest forged"])
@pytest.mark.parametrize("samples_per_file", [40, pytest.param(1400, marks=pytest.mark.slow)])
def test_no_byte_can_be_changed_unseen(samples_per_file: int, forged: bool) -> None:
    """Bytes of every file are changed: that is refused, or the evidence is the same without them."""
    ledger = samples.ledger(6, 3)
    for files in (ledger.bundle(), ledger.receipts(1, 5)):
        evidence = verify_bundle(files, samples.both_keys())
        irrelevant: set[str] = set()
        for path, raw in files.items():
            if forged and path == "manifest.json":
                continue  # it is remade below
            for at in range(0, len(raw), max(1, len(raw) // samples_per_file)):
                changed = files | {path: raw[:at] + bytes([raw[at] ^ (1 << at % 7)]) + raw[at + 1 :]}
                try:
                    shown = verify_bundle(listed(changed) if forged else changed, samples.both_keys())
                except (Rejected, IntegrityViolation):
                    continue
                same = dataclasses.replace(shown, manifest=evidence.manifest, made_by=MADE_BY)  # type: ignore[call-arg]
                assert same == evidence, (path, at)
                irrelevant.add(path)
        # What the manifest tells people, the suggested policy, and the name of a needless signature prove nothing.
        earlier = {path for path in files if path.startswith("checkpoints/")}
        assert irrelevant <= ({"policy", *earlier} if forged else {"manifest.json"})


MADE_BY = getattr(bundle, "_VERIFIED")  # noqa: B009


@pytest.mark.parametrize("forged", [False, True])
def test_no_file_can_be_left_out_or_added(whole: dict[str, bytes], forged: bool) -> None:
    remake: Callable[[dict[str, bytes]], dict[str, bytes]] = listed if forged else dict
    for path in whole:
        less = {other: data for other, data in whole.items() if other != path}
        optional = path.startswith(("entries/", "checkpoints/")) and forged  # evidence that another bundle has more of
        if path == "manifest.json" or not optional:
            with pytest.raises((Rejected, IntegrityViolation)):
                verify_bundle(remake(less) if path != "manifest.json" else less, samples.both_keys())
        else:
            verify_bundle(remake(less), samples.both_keys())
    for path in ("entries/99.json", "entries/1.tlog-proof", "tile/5/000", "checkpoints/1", "x", "../policy"):
        with pytest.raises((Rejected, IntegrityViolation)):
            verify_bundle(remake(whole | {path: b"x"}), samples.both_keys())


def attacks() -> Iterator[tuple[str, dict[str, bytes], str]]:
    stubs, whole, receipts = list(LEDGER.stubs), LEDGER.bundle(), LEDGER.receipts(1, 6)
    edited = [*stubs[:5], stubs[5].replace(b'"parts":7', b'"parts":6'), *stubs[6:]]
    yield "a row edited", whole | {BUNDLE: format_bundle(edited)}, "prev is false; .*seq 6"
    yield "the last row edited", whole | {BUNDLE: format_bundle([*stubs[:11], stubs[11][:-2] + b"2}"])}, "seq 11"
    yield "the tail cut off", whole | {BUNDLE: format_bundle(stubs[:11])}, "tile does not follow.*tile/0/000.p/11"
    yield "two rows exchanged", whole | {BUNDLE: format_bundle([stubs[0], stubs[2], stubs[1], *stubs[3:]])}, "seq 1"
    other = samples.ledger(12, 3)
    yield "another history", whole | {BUNDLE: other.tiles()[BUNDLE]}, "does not follow"
    yield "another history whole", whole | other.tiles(), "not those under the checkpoint"
    moved = whole | {"entries/1.json": whole["entries/2.json"]}
    yield "another entry's disclosure", moved, "another entry than"
    foreign = whole | {"entries/5.json": other.disclosure(5).format()}
    yield "a disclosure of a foreign entry", foreign, "not of the entry in the tree"
    yield "an earlier root of another history", whole | {"checkpoints/6": other.note(6)}, "two roots for one size"
    yield "an earlier checkpoint misnamed", whole | {"checkpoints/3": LEDGER.note(2)}, "not the one that its path says"
    later = samples.ledger(13)
    yield "a checkpoint after the latest", whole | {"checkpoints/13": later.note()}, "later than the latest"
    yield "a receipt after the latest", receipts | {"entries/1.tlog-proof": later.proof(1).format()}, "later than"
    split = receipts | {"checkpoints/6": LEDGER.note(6), "entries/1.tlog-proof": other.proof(1, 6).format()}
    yield "a split view", split, "two roots for one size"
    older = whole | {"checkpoint": LEDGER.note(11)}
    yield "an older latest checkpoint", older, "not the manifest's"
    without = {path: data for path, data in receipts.items() if path != "entries/6.tlog-proof"}
    yield "a disclosure without proof", without, "belong together"
    alone = {path: data for path, data in receipts.items() if path != "entries/6.json"}
    yield "a proof without disclosure", alone, "belong together"


ATTACKS = list(attacks())


@pytest.mark.parametrize("files, reason", [attack[1:] for attack in ATTACKS], ids=[attack[0] for attack in ATTACKS])
def test_attacks_are_named(files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(IntegrityViolation, match=reason):
        verify_bundle(listed(files), samples.both_keys())
    with pytest.raises(BundleBroken, match=r"a file is (not in the manifest|missing|not the one in the manifest)"):
        verify_bundle(files, samples.both_keys())


def test_another_history_of_one_size_in_receipts() -> None:
    other = samples.ledger(12, 3)
    files = LEDGER.receipts(1) | {
        "entries/2.json": other.disclosure(2, []).format(),
        "entries/2.tlog-proof": other.proof(2).format(),
    }
    with pytest.raises(BundleBroken, match="two roots for one size"):
        verify_bundle(listed(files), samples.both_keys())


def test_receipts_of_older_checkpoints_are_counted_as_apart() -> None:
    entries = {1: (LEDGER.disclosure(1).format(), LEDGER.proof(1, 6).format())}
    files = make_bundle(samples.both_keys(), LEDGER.note(), {}, entries, {})
    assert "Whether 1 enclosed checkpoints of other sizes" in " ".join(verify_bundle(files).not_shown)
    whole = make_bundle(samples.both_keys(), LEDGER.note(), {}, entries, LEDGER.tiles())
    assert "other sizes" not in " ".join(verify_bundle(whole).not_shown)


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"anchors": [{}]},
        {"kind": "x"},
        {"size": -1},
        {"size": "1"},
        {"ledger": "a b"},
        {"cannot_show": [1]},
        {"files": {"policy": 1}},
        {"files": {"policy": "x"}},
        {"files": {"manifest.json": "0" * 64}},
        {"files": {"../policy": "0" * 64}},
        {"extra": 1},
    ],
    ids=str,
)
def test_manifests_that_are_none(changes: dict[str, object], whole: dict[str, bytes]) -> None:
    value = parse_canonical(whole["manifest.json"], "manifest")
    with pytest.raises(Malformed):
        Manifest.parse(canonical(value | changes))


def test_nothing_else_makes_a_verified_bundle(whole: dict[str, bytes]) -> None:
    shown = verify_bundle(whole)
    with pytest.raises(ValueError, match="made_by"):
        dataclasses.replace(shown, entries=13)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        dataclasses.replace(shown, entries=13, made_by=object())  # type: ignore[call-arg]


# --- zip


def test_a_zip_is_the_same_every_time(whole: dict[str, bytes]) -> None:
    packed = write_zip(whole)
    assert packed == write_zip(dict(reversed(whole.items())))
    assert read_zip(packed) == whole
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(whole)


def zipped(*entries: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = method, mode << 16
            archive.writestr(info, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "../policy",
        "/policy",
        "policy/",
        "a/../policy",
        "./policy",
        "..\\policy",
        "C:policy",
        "entries/01.json",
        "x",
        "POLICY",
    ],
)
def test_a_zip_holds_paths_of_a_bundle_only(path: str) -> None:
    with pytest.raises(Malformed):
        check_path(path)
    with pytest.raises(Malformed):
        write_zip({path: b""})
    if not path.endswith("/"):
        with pytest.raises(Malformed):
            read_zip(zipped((path, b"")))


def test_folders_in_a_zip_are_nothing() -> None:
    assert read_zip(zipped(("entries/", b""), ("policy", b"x"), method=zipfile.ZIP_DEFLATED)) == {"policy": b"x"}


def test_zips_that_hide_something() -> None:
    with pytest.raises(Malformed, match="plain"):
        read_zip(zipped(("policy", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777))
    with pytest.raises(Malformed, match="plain"):
        read_zip(zipped(("policy", b"x" * 100), method=zipfile.ZIP_BZIP2))
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(("policy", b"a"), ("policy", b"b"))
    with pytest.raises(Malformed, match="twice"):
        read_zip(twice)
    nameless = (
        zipped(("x", b"a")).replace(b"\xa4\x81\0\0\0\0x", b"\xa4\x81\0\0\0\0").replace(b"\x2f\0\0\0", b"\x2e\0\0\0")
    )
    at = nameless.index(b"PK\x01\x02") + 28  # length of the path in the central directory
    with pytest.raises(Malformed):
        read_zip(nameless[:at] + b"\0" + nameless[at + 1 :])
    with pytest.raises(Malformed, match="twice, or hides"):
        read_zip(zipped(("policyXx", b"a")).replace(b"policyXx", b"policy\0x"))
    encrypted = bytearray(zipped(("policy", b"a")))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Malformed, match="plain"):
        read_zip(bytes(encrypted))


def test_zip_bombs() -> None:
    bomb = zipped(("policy", bytes(10_000_000)), ("checkpoint", bytes(10_000_000)), method=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 30_000
    with pytest.raises(Malformed, match="more than is allowed; path policy"):
        read_zip(bomb, bytes_max=1_000_000)
    with pytest.raises(Malformed, match="more than is allowed; path checkpoint"):
        read_zip(bomb, bytes_max=15_000_000)
    # A header that lies about the size does not help.
    honest = struct.pack("<LLL", zlib.crc32(bytes(10_000_000)), 0, 10_000_000)
    lying = bomb.replace(honest[-4:], struct.pack("<L", 10))
    with pytest.raises(Malformed):
        read_zip(lying, bytes_max=1_000_000)


def test_no_zip_at_all(whole: dict[str, bytes]) -> None:
    packed = write_zip(whole)
    for raw in (b"", b"PK", b"x" * 100, packed[:-30], packed[: len(packed) // 2]):
        with pytest.raises(Malformed):
            read_zip(raw)
