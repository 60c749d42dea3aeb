"""Every durable write of a ledger's life × {lost, landed but reported failed, killed before, killed after}.

The life: genesis, two batches with every kind of command, seal and publish after each, the second across a full tile.
After the fault the ledger is opened as after any crash, unanswered commands are asked again, and the life goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from faults import FAULTS, Fault, Faults
from histories import History
from servers import PostgresServer
from world import ORIGIN, Bench, World, memory_bench

from tallystick.custody.ports import Signer
from tallystick.storage.files import FileTileStore
from tallystick.storage.postgres import PostgresStores
from tallystick.storage.sqlite import SqliteStores

EVENTS = 260  # more than a full tile, however many of the other commands are refused


def live(bench: Bench, signers: Sequence[Signer], faults: Faults) -> World:
    """The same commands at the same times whatever goes wrong."""
    world = World(bench, signers, Random(1), faults)
    world.create()
    world.start(1)
    history = History(Random(2), prefix="m")
    for events in (0, EVENTS):
        commands = [history.command(world.now) for _ in range(40)]
        commands += [{"kind": "event", "id": f"e{i}", "event": "seen"} for i in range(events)]
        world.now += 1_000_000
        world.attempt(lambda ledger, some=commands: world.record(ledger, some))
        world.attempt(world.publish)
    world.must_be_sound(world.heal())
    assert world.ledgers[0].head().size > 256
    return world


@pytest.fixture
def make_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Bench]]:
    kind = request.param
    made = 0
    open_factories: list[SqliteStores | PostgresStores] = []

    def make() -> Bench:
        nonlocal made
        made += 1
        if kind == "memory":
            return memory_bench()
        if kind == "sqlite":
            stores: SqliteStores | PostgresStores = SqliteStores(tmp_path / f"db{made}")
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            server.execute(f"CREATE DATABASE matrix{made}")
            stores = PostgresStores(server.dsn(f"matrix{made}"))
        open_factories.append(stores)
        return Bench(
            lambda: stores.open(ORIGIN, write=True, create=True), lambda: FileTileStore(tmp_path / f"tiles{made}")
        )

    yield make
    for stores in open_factories:
        stores.close()
    if kind == "postgres":
        server = request.getfixturevalue("postgres_server")
        for number in range(1, made + 1):
            server.execute(f"DROP DATABASE matrix{number} WITH (FORCE)")


@pytest.mark.parametrize("make_bench", ["memory", "sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.slow
def test_every_durable_write_may_break(
    make_bench: Callable[[], Bench], fault: Fault, soft_signers: Sequence[Signer]
) -> None:
    unbroken = Faults()
    writes = live(make_bench(), soft_signers, unbroken).healed_after
    assert {name.split()[0] for name in unbroken.writes} == {"commit", "checkpoint", "put", "delete"}
    for number in range(1, writes + 1):
        faults = Faults({number: fault})
        try:
            live(make_bench(), soft_signers, faults)
        except BaseException as error:
            error.add_note(f"write {number}, {unbroken.writes[number - 1]}: {fault}")
            raise
        assert len(faults.writes) >= number, "the fault did not happen"
