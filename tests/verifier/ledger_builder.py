"""A tiny ledger in plain Python, written by the rules of docs/reference/entries.md: what the verifier is tried on.

It writes whatever it is told, right or wrong; only the balances are worked out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

ORIGIN = "bank.example/ledger/customers"
START_US = 1_795_478_400_123_456
Leg = tuple[str, str, str, int]


def canonical(value: Any) -> bytes:
    """Good for the ASCII keys that tests use."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def root_of(hashes: list[bytes], prefix: bytes = b"\x01") -> bytes:
    """RFC 6962 §2.1, as written there."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(prefix + root_of(hashes[:split], prefix) + root_of(hashes[split:], prefix)).digest()


def path_of(index: int, hashes: list[bytes], prefix: bytes = b"\x01") -> list[bytes]:
    """Inclusion proof, RFC 6962 §2.1.1."""
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*path_of(index, hashes[:split], prefix), root_of(hashes[split:], prefix)]
    return [*path_of(index - split, hashes[split:], prefix), root_of(hashes[:split], prefix)]


def tile_number(number: int) -> str:
    """x001/x234/067, as tlog-tiles names tiles."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)


class Signer:
    """A log or witness with an Ed25519 key (0x01 or 0x04) and an ML-DSA-44 key (0x06), made from its name."""

    def __init__(self, name: str, ed_type: int = 0x01, secret: str = "") -> None:
        self.name = name
        self.ed_type = ed_type
        self.ed = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{name}{secret}".encode()).digest())
        self.pq = MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(f"pq{name}{secret}".encode()).digest())

    def _material(self, key_type: int) -> bytes:
        key: Any = self.pq if key_type == 0x06 else self.ed
        return bytes([key_type]) + key.public_key().public_bytes_raw()

    def key_id(self, key_type: int) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self._material(key_type)).digest()[:4]

    def vkey(self, key_type: int) -> str:
        material = base64.b64encode(self._material(key_type)).decode()
        return f"{self.name}+{self.key_id(key_type).hex()}+{material}"

    def line(self, key_type: int, text: bytes, seconds: int) -> bytes:
        """The signature line on a checkpoint's text."""
        origin, size, root = text.decode().split("\n")[:3]
        time = struct.pack(">Q", seconds)
        if key_type == 0x01:
            signature = self.ed.sign(text)
        elif key_type == 0x04:
            signature = time + self.ed.sign(b"cosignature/v1\ntime %d\n" % seconds + text)
        else:
            message = b"subtree/v1\n\0" + bytes([len(self.name)]) + self.name.encode() + time
            message += (
                bytes([len(origin)]) + origin.encode() + struct.pack(">QQ", 0, int(size)) + base64.b64decode(root)
            )
            signature = time + self.pq.sign(message)
        return f"— {self.name} {base64.b64encode(self.key_id(key_type) + signature).decode()}\n".encode()


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@dataclass
class Entry:
    stub: bytes
    parts: list[Any]  # [salt, path, value], or a destroyed part's hash

    @property
    def leaf(self) -> bytes:
        return hashlib.sha256(b"\x00" + self.stub).digest()

    @property
    def part_hashes(self) -> list[bytes]:
        return [
            bytes.fromhex(part) if isinstance(part, str) else hashlib.sha256(b"\x02" + canonical(part)).digest()
            for part in self.parts
        ]


@dataclass
class Ledger:
    accounts: str = "implicit"
    origin: str = ORIGIN
    log: Signer = field(default_factory=lambda: Signer(ORIGIN))
    witnesses: list[Signer] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    batch: int = 0
    first: int = 0
    at: int = START_US - 1
    totals: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.entries:
            self.add("genesis", body={"accounts": self.accounts, "by": "user:founder", "keys": self.keys()})

    def keys(self) -> list[str]:
        return [self.log.vkey(0x01), self.log.vkey(0x06)]

    # --- entries -----------------------------------------------------------------------------------------------------

    def add(self, kind: str, *parts: tuple[str, Any], body: Any = None, later: int = 1, **stub: Any) -> Entry:
        """The next entry, `later` microseconds after the one before; `stub` are members that shall be otherwise."""
        seq = len(self.entries)
        salted = [[hashlib.sha256(f"{seq} {i}".encode()).hexdigest()[:32], *part] for i, part in enumerate(parts)]
        entry = Entry(b"", salted)
        self.at += later
        members = {
            "at": self.at,
            "batch": self.batch,
            "body": root_of(entry.part_hashes, b"\x03").hex() if body is None else body,
            "kind": kind,
            "ledger": self.origin,
            "parts": len(parts),
            "prev": self.entries[-1].leaf.hex() if self.entries else "0" * 64,
            "seq": seq,
            "v": 1,
        }
        entry.stub = canonical(members | stub)
        self.entries.append(entry)
        return entry

    def seal(self, **body: Any) -> Entry:
        leaves = [entry.leaf for entry in self.entries[self.first :]]
        true = {"batch": self.batch, "count": len(leaves), "first": self.first, "root": root_of(leaves).hex()}
        entry = self.add("seal", body=true | body)
        self.batch += 1
        self.first = len(self.entries)
        return entry

    def legs(self, kind: str, legs: list[Leg | dict[str, Any]]) -> list[tuple[str, Any]]:
        """The parts `legs/…`, `balancing/…` (of a leg with `requested` and `side`) and the balances that follow."""
        parts: list[tuple[str, Any]] = []
        asked: list[tuple[str, Any]] = []
        touched: dict[tuple[str, str], None] = {}
        for number, leg in enumerate(legs):
            if isinstance(leg, tuple):
                leg = dict(zip(("debit", "credit", "asset", "amount"), leg, strict=True))  # noqa: PLW2901
            amount = int(leg["amount"])
            if "requested" in leg:
                asked.append((f"balancing/{number}", {name: leg[name] for name in ("requested", "side")}))
            moved = {name: value for name, value in leg.items() if name not in ("requested", "side")}
            parts.append((f"legs/{number}", moved | {"amount": str(amount)}))
            for side, name in enumerate(("debit", "credit")):
                total = self.totals.setdefault((leg[name], leg["asset"]), [0, 0, 0, 0])
                touched[leg[name], leg["asset"]] = None
                posted, pending = {
                    "pending": (0, 1), "post": (1, -1), "void": (0, -1), "expire": (0, -1)
                }.get(kind, (1, 0))  # fmt: skip
                total[side] += posted * amount
                total[2 + side] += pending * amount
        parts += asked
        names = ("debits", "credits", "pending_debits", "pending_credits")
        for number, key in enumerate(touched):
            balance = dict(zip(names, map(str, self.totals[key]), strict=True))
            parts.append((f"balances/{number}", {"account": key[0], "asset": key[1], **balance}))
        return parts

    def money(self, kind: str, id_: str | None, *legs: Leg | dict[str, Any], later: int = 1, **more: Any) -> Entry:
        """An entry with legs; `more` are further parts by name, `metadata` a dict."""
        before = ("by", "id", "pending", "reverses")
        parts: dict[str, Any] = {"by": "system:expiry" if kind == "expire" else "service:test"} | more
        if id_ is not None:
            parts["id"] = id_
        listed = [(name, parts[name]) for name in before if name in parts]
        listed += self.legs(kind, list(legs))
        listed += [(name, parts[name]) for name in ("effective", "expires", "reason", "reference") if name in parts]
        listed += [(f"metadata/{key}", value) for key, value in sorted(parts.get("metadata", {}).items())]
        return self.add(kind, *listed, later=later)

    def pay(self, id_: str, debit: str, credit: str, amount: int, asset: str = "EUR/2", **more: Any) -> Entry:
        return self.money("transaction", id_, (debit, credit, asset, amount), **more)

    def account(self, name: str, action: str | None = None, **definition: Any) -> Entry:
        parts: list[tuple[str, Any]] = [("by", "user:clerk"), ("account", {"name": name, **definition})]
        if action is not None:
            parts.append(("action", action))
        return self.add("account", *parts)

    def destroy(self, seq: int, *paths: str) -> None:
        entry = self.entries[seq]
        for number, part in enumerate(entry.parts):
            if part[1] in paths:
                entry.parts[number] = entry.part_hashes[number].hex()

    # --- evidence ----------------------------------------------------------------------------------------------------

    @property
    def leaves(self) -> list[bytes]:
        return [entry.leaf for entry in self.entries]

    def text(self, size: int | None = None) -> bytes:
        leaves = self.leaves[:size]
        return f"{self.origin}\n{len(leaves)}\n{base64.b64encode(root_of(leaves)).decode()}\n".encode()

    def checkpoint(self, size: int | None = None, seconds: int | None = None) -> bytes:
        text = self.text(size)
        time = self.at // 1_000_000 if seconds is None else seconds
        lines = self.log.line(0x01, text, time) + self.log.line(0x06, text, time)
        return text + b"\n" + lines + b"".join(w.line(w.ed_type, text, time) for w in self.witnesses)

    def policy(self) -> bytes:
        lines = [f"log {self.log.vkey(0x01)}", f"witness log-pq {self.log.vkey(0x06)}"]
        lines += [f"witness w{number} {w.vkey(w.ed_type)}" for number, w in enumerate(self.witnesses)]
        names = " ".join(f"w{number}" for number in range(len(self.witnesses)))
        lines.append(f"group all-of-them all log-pq {names}")
        return "\n".join([*lines, "quorum all-of-them", ""]).encode()

    def relink(self, start: int = 1, **changed: Any) -> None:
        """What whoever may write everywhere does after a change: number and chain the entries anew from `start` on."""
        for seq in range(start, len(self.entries)):
            members = json.loads(self.entries[seq].stub) | {"seq": seq, "prev": self.entries[seq - 1].leaf.hex()}
            self.entries[seq].stub = canonical(members | changed)

    def disclosure(self, seq: int, indexes: list[int] | None = None) -> bytes:
        """Some parts with their paths, or all without."""
        entry = self.entries[seq]
        parts: list[dict[str, Any]] = []
        for index in range(len(entry.parts)) if indexes is None else indexes:
            part = entry.parts[index]
            shown = {"hash": part} if isinstance(part, str) else {"part": canonical(part).decode()}
            path = [one.hex() for one in path_of(index, entry.part_hashes, b"\x03")]
            parts.append({"index": index, **shown} if indexes is None else {"index": index, "path": path, **shown})
        return canonical({"parts": parts, "stub": entry.stub.decode(), "v": 1})

    def proof(self, seq: int, extra: bytes = b"", checkpoint: bytes = b"") -> bytes:
        lines = [b"c2sp.org/tlog-proof@v1"]
        lines += [b"extra " + base64.b64encode(extra)] if extra else []
        lines += [b"index %d" % seq, *(base64.b64encode(one) for one in path_of(seq, self.leaves)), b"", b""]
        return b"\n".join(lines) + (checkpoint or self.checkpoint())

    def bundle(self, kind: str = "ledger", *receipts: int) -> dict[str, bytes]:
        """An evidence bundle: the whole ledger with its bodies, or receipts that show by and id."""
        if kind == "ledger":
            files = self.files()
        else:
            files = {"checkpoint": self.checkpoint(), "policy": self.policy()}
            for seq in receipts:
                files |= {
                    f"entries/{seq}.json": self.disclosure(seq, [0, 1]),
                    f"entries/{seq}.tlog-proof": self.proof(seq),
                }
        return self.with_manifest(files, kind)

    def with_manifest(self, files: dict[str, bytes], kind: str = "ledger") -> dict[str, bytes]:
        listed = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items() if name != "manifest.json"}
        about = {"kind": kind, "ledger": self.origin, "size": len(self.entries), "v": 1}
        manifest = {"anchors": [], "cannot_show": ["Later entries."], "files": listed, **about}
        return files | {"manifest.json": canonical(manifest)}

    def files(self, checkpoint: bytes = b"") -> dict[str, bytes]:
        """Everything that is published, and the bodies."""
        files = {"checkpoint": checkpoint or self.checkpoint(), "policy": self.policy()}
        hashes, level = self.leaves, 0
        while hashes:
            for number in range(0, len(hashes), 256):
                width = min(256, len(hashes) - number)
                name = tile_number(number // 256) + (f".p/{width}" if width < 256 else "")
                files[f"tile/{level}/{name}"] = b"".join(hashes[number : number + 256])
            hashes = [root_of(hashes[at : at + 256]) for at in range(0, len(hashes) // 256 * 256, 256)]
            level += 1
        for number in range(0, len(self.entries), 256):
            some = self.entries[number : number + 256]
            name = tile_number(number // 256)
            stubs = b"".join(struct.pack(">H", len(entry.stub)) + entry.stub for entry in some)
            files[f"tile/entries/{name}" + (f".p/{len(some)}" if len(some) < 256 else "")] = stubs
            files[f"bodies/{name}.jsonl"] = b"".join(canonical(entry.parts) + b"\n" for entry in some)
        return files

    def write(self, folder: Path, checkpoint: bytes = b"") -> Path:
        return write(self.files(checkpoint), folder)


def small_ledger(**more: Any) -> Ledger:
    """Two sealed batches with something of every kind."""
    ledger = Ledger(**more)
    ledger.account("customers:0001", limit="debits_must_not_exceed_credits")
    ledger.account("customers:0002", limit="debits_must_not_exceed_credits", overdraft={"EUR/2": "100"})
    ledger.pay(
        "pay-1",
        "bank:settlement",
        "customers:0001",
        1050,
        effective="2026-11-24T00:00:00Z",
        metadata={"invoice": "R-17 €"},
    )
    ledger.pay("pay-2", "customers:0001", "bank:fees", 50)
    ledger.seal()
    ledger.money(
        "pending",
        "hold-1",
        ("customers:0001", "shop:a", "EUR/2", 400),
        ("customers:0002", "shop:a", "EUR/2", 100),
        expires="2026-11-25T00:00:00Z",
    )
    ledger.money(
        "post",
        "post-1",
        {"debit": "customers:0001", "credit": "shop:a", "asset": "EUR/2", "amount": 300, "of": 0},
        pending="hold-1",
    )
    ledger.money(
        "void", "void-1",
        {"debit": "customers:0001", "credit": "shop:a", "asset": "EUR/2", "amount": 100, "of": 0},
        {"debit": "customers:0002", "credit": "shop:a", "asset": "EUR/2", "amount": 100, "of": 1},
        pending="hold-1", reason="sold out",
    )  # fmt: skip
    ledger.money(
        "reversal",
        "rev-1",
        {"debit": "bank:fees", "credit": "customers:0001", "asset": "EUR/2", "amount": 20, "of": 0},
        reverses="pay-2",
        reason="goodwill",
    )
    ledger.money("adjustment", "adj-1", ("bank:cash", "bank:settlement", "EUR/2", 5), reason="counted again")
    ledger.add("event", ("by", "user:clerk"), ("id", "ev-1"), ("event", "kyc.passed"), ("reference", "case 7"))
    ledger.add(
        "policy",
        ("by", "user:cfo"),
        ("id", "pol-1"),
        ("policy", {"closed_before": "2026-11-01T00:00:00Z"}),
        ("reason", "month end"),
    )
    ledger.money("pending", "hold-2", ("customers:0001", "shop:b", "EUR/2", 10), expires="2026-11-24T12:00:00Z")
    ledger.money(
        "expire",
        None,
        {"debit": "customers:0001", "credit": "shop:b", "asset": "EUR/2", "amount": 10, "of": 0},
        pending="hold-2",
        later=10**12,
    )
    ledger.account(
        "customers:0002", "freeze", limit="debits_must_not_exceed_credits", overdraft={"EUR/2": "100"}, state="frozen"
    )
    balancing = {
        "debit": "customers:0001",
        "credit": "bank:fees",
        "asset": "EUR/2",
        "amount": 720,
        "side": "debit",
        "requested": "9999",
    }
    ledger.money("transaction", "sweep-1", balancing, reference="sweep")
    ledger.seal()
    return ledger
