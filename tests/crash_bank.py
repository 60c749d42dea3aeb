"""The process that is killed: records, seals and publishes as fast as it can, and says what was acknowledged."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from pathlib import Path

from tallystick.wiring import open_installation

ORIGIN = "crash.example/ledger"


def work(home: str, first: int, acknowledgements: Connection) -> None:
    """Send (id, seq, hash) of each entry after it was acknowledged; never returns."""
    ledger = open_installation(Path(home)).open(ORIGIN, write=True)

    def seal() -> None:
        while True:
            ledger.seal()
            ledger.publish()

    threading.Thread(target=seal, daemon=True).start()
    number = first
    while True:
        commands = []
        for _ in range(1 + number % 7):
            leg = {"amount": "5", "asset": "EUR/2", "credit": f"customers:{number % 5}", "debit": "bank:cash"}
            commands.append({"id": f"pay-{number}", "legs": [leg]})
            number += 1
        recorded = ledger.record(commands, by="service:crash")
        acknowledgements.send([(c["id"], a.seq, a.hash) for c, a in zip(commands, recorded.accepted(), strict=True)])
