"""Creating a ledger, and what must hold before an existing one is written again.

Create: the genesis entry carries the ledger's keys and how accounts come to be.

Open to write:
1. The floor is the largest size known to anybody: the newest stored checkpoint, the published one.
2. A store that is behind the floor refuses to write (`WentBack`): rows were cut off or the database was rolled back.
3. Checkpoints of one size must have one root (`TilesContradict`).
4. The keys at hand must be the ones that genesis names.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.core.encoding import canonical
from tallystick.core.policy import Policy
from tallystick.custody.checkpoints import verifier_key
from tallystick.custody.ports import Signer
from tallystick.errors import Misconfigured, Rejected
from tallystick.log.ending import genesis
from tallystick.log.publisher import TilesContradict
from tallystick.log.recorder import Clock, Randomness, Recorder, WentBack
from tallystick.log.signed import check_row, published_checkpoint
from tallystick.storage.ports import LedgerStore, TileStore

__all__ = ["create", "floor", "genesis_keys", "must_match_genesis", "own_policy"]


def vkeys(signers: Sequence[Signer], origin: str) -> list[str]:
    """The signers' public keys as C2SP vkeys."""
    return [verifier_key(signer, origin).format() for signer in signers]


def own_policy(signers: Sequence[Signer], origin: str) -> Policy:
    """What any verifier should demand of this log: both of its signatures (ADR 0006)."""
    ed25519, ml_dsa = vkeys(signers, origin)
    return Policy.parse(f"log {ed25519}\nwitness log-pq {ml_dsa}\nquorum log-pq\n".encode())


def create(
    store: LedgerStore,
    signers: Sequence[Signer],
    clock: Clock,
    randomness: Randomness,
    *,
    by: str,
    explicit_accounts: bool,
) -> None:
    """Record the genesis entry; `Rejected` if the ledger has one."""
    if store.head() is not None:
        raise Rejected("the ledger exists already", ledger=store.origin)
    body = {
        "accounts": "explicit" if explicit_accounts else "implicit",
        "by": by,
        "keys": vkeys(signers, store.origin),
        "policy": own_policy(signers, store.origin).format().decode(),
    }
    Recorder(store, clock, randomness, floor=0).append("genesis", canonical(body))


def floor(store: LedgerStore, tile_store: TileStore, policy: Policy) -> int:
    """The largest size that is signed (steps 1 to 3)."""
    row = store.checkpoint()
    if row is not None:
        check_row(store.origin, row, policy)
    signed = row.size if row is not None else 0
    accepted = published_checkpoint(store.origin, tile_store, policy)
    if accepted is not None:
        published = accepted.checkpoint
        stored = store.checkpoint(at_least=published.size)
        if stored is None:
            raise WentBack(
                "the database is behind the published checkpoint",
                ledger=store.origin,
                expected=f"a checkpoint of size >= {published.size}",
                found=signed,
                next_step="Do not write. Restore the newest copy, or follow the playbook for suspected tampering.",
            )
        if (stored.size, stored.root) != (published.size, published.root):
            raise TilesContradict(
                "the published checkpoint is not one that the database stores",
                ledger=store.origin,
                expected=(published.size, published.root.hex()),
                found=(stored.size, stored.root.hex()),
                next_step="Two histories were signed, or the table checkpoint was changed: run the audit.",
            )
    head = store.head()
    size = head.size if head else 0
    if size < signed:
        raise WentBack(
            "the database is behind its own newest checkpoint",
            ledger=store.origin,
            expected=f">= {signed} entries",
            found=size,
            next_step="Do not write. Rows were cut off: run the audit and restore the newest copy.",
        )
    return max(signed, size)


def genesis_keys(store: LedgerStore) -> list[str]:
    """The vkeys that the genesis entry names."""
    return [str(key) for key in genesis(store)["keys"]]


def must_match_genesis(store: LedgerStore, signers: Sequence[Signer]) -> None:
    """Step 4; `Misconfigured` names the first key that differs."""
    expected, found = genesis_keys(store), vkeys(signers, store.origin)
    if expected != found:
        raise Misconfigured(
            "the signing keys are not the ones that the ledger began with",
            ledger=store.origin,
            expected=[key[:60] for key in expected],
            found=[key[:60] for key in found],
            next_step="Point keys.folder at the ledger's keys.",
        )
