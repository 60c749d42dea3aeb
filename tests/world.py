"""A bank in a box: one ledger on a fake disk, a clock that misbehaves, writes that break, processes that die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from faults import FAULTS, Fault, Faults, FaultyStore, FaultyTiles, Killed
from histories import Command, History
from memory_store import Disk, MemoryStore, MemoryTiles

from tallystick.core.policy import Policy
from tallystick.custody.ports import Signer
from tallystick.errors import RetryLater
from tallystick.ledger.outcome import Accepted
from tallystick.log import opening
from tallystick.log.ledger import Ledger
from tallystick.log.recorder import ClockWentBack
from tallystick.storage.ports import LedgerStore, TileStore

ORIGIN = "sim.example/ledger"
START = 1_795_478_400_000_000


@dataclass
class Bench:
    """Where a world lives: how to open its store and its tiles, again after every death."""

    store: Callable[[], LedgerStore]
    tiles: Callable[[], TileStore]


@dataclass
class World:
    """`ledgers` are writers that believe they are alone; `acknowledged` is what callers were told."""

    bench: Bench
    signers: Sequence[Signer]
    random: Random
    faults: Faults
    now: int = START
    acknowledged: dict[str, Accepted] = field(default_factory=dict)
    unanswered: list[Command] = field(default_factory=list)
    checkpoints: dict[int, bytes] = field(default_factory=dict)  # every root that was ever published, by size
    ledgers: list[Ledger] = field(default_factory=list)
    healed_after: int = 0  # durable writes before nothing could go wrong any more

    @property
    def policy(self) -> Policy:
        return opening.own_policy(self.signers, ORIGIN)

    def create(self) -> None:
        """Genesis, however often it takes."""
        while True:
            store = self.bench.store()
            try:
                if store.head() is None:
                    faulty: Any = FaultyStore(store, self.faults)
                    opening.create(
                        faulty, self.signers, self.clock, self.random.randbytes, by="user:sim", explicit_accounts=False
                    )
            except (RetryLater, Killed):
                continue
            else:
                return
            finally:
                store.close()

    def clock(self) -> int:
        self.now += self.random.randint(0, 3)
        return self.now

    def open(self) -> Ledger:
        store: Any = FaultyStore(self.bench.store(), self.faults)
        tiles: Any = FaultyTiles(self.bench.tiles(), self.faults)
        return Ledger(store, tiles, self.policy, self.clock, self.random.randbytes, self.signers)

    def start(self, writers: int) -> None:
        for ledger in self.ledgers:
            ledger.close()
        self.ledgers = [self.open() for _ in range(writers)]

    def attempt(self, action: Callable[[Ledger], None]) -> None:
        """Do something with some writer; errors that a caller may retry pass, a killed process starts again."""
        ledger = self.random.choice(self.ledgers)
        try:
            action(ledger)
        except RetryLater:
            pass
        except Killed:
            self.start(len(self.ledgers))

    def record(self, ledger: Ledger, commands: list[Command]) -> None:
        """Record; what is not answered stays `unanswered`."""
        self.unanswered += commands
        outcomes = ledger.record(commands, by="user:sim")
        for command in commands:
            self.unanswered.remove(command)
        flat = [single for command in commands for single in command.get("group", [command])]
        for command, outcome in zip(flat, outcomes, strict=True):
            if isinstance(outcome, Accepted) and "id" in command:
                before = self.acknowledged.setdefault(command["id"], outcome)
                assert (before.seq, before.hash) == (outcome.seq, outcome.hash), command

    def publish(self, ledger: Ledger) -> None:
        ledger.seal()
        ledger.publish()
        self.note_published()

    def note_published(self) -> None:
        raw = self.bench.tiles().get("checkpoint")
        if raw is not None:
            checkpoint = self.policy.accept(raw).checkpoint
            assert self.checkpoints.setdefault(checkpoint.size, checkpoint.root) == checkpoint.root

    def heal(self) -> Ledger:
        """No more faults: one process starts as after any crash, answers everybody, seals and publishes."""
        self.healed_after = len(self.faults.writes)
        self.faults.plan.clear()
        self.faults.decide = lambda: None
        self.now += 10_000_000
        self.start(1)
        (ledger,) = self.ledgers
        while self.unanswered:
            self.record(ledger, [self.unanswered.pop(0)])
        self.publish(ledger)
        return ledger

    def must_be_sound(self, ledger: Ledger) -> None:
        """What was acknowledged is there, once, as acknowledged; what was published is a prefix of what is there."""
        audited = ledger.audit()
        assert audited.unsealed == 0
        assert audited.published == audited.size
        for key, accepted in self.acknowledged.items():
            entry = ledger.entry(key)
            assert (entry.seq, entry.hash, entry.at) == (accepted.seq, accepted.hash, accepted.at)
        ledger.trial_balance()


def memory_bench() -> Bench:
    """A world on a fake disk."""
    disk, objects = Disk(), dict[str, bytes]()
    return Bench(lambda: MemoryStore(ORIGIN, disk), lambda: MemoryTiles(objects))


def simulate(seed: int, signers: Sequence[Signer], steps: int = 25) -> World:
    """One life: two writers, a clock that jumps, one write in twelve goes wrong."""
    random = Random(seed)

    def decide() -> Fault | None:
        return random.choice(FAULTS) if random.random() < 1 / 12 else None

    world = World(memory_bench(), signers, random, Faults(decide=decide))
    world.create()
    world.start(2)
    history = History(random)
    for _ in range(steps):
        step = random.choices(["record", "again", "publish", "jump", "back", "die"], [50, 8, 22, 10, 3, 7])[0]
        if step == "record":
            commands = [history.command(world.now) for _ in range(random.randint(1, 6))]
            world.attempt(lambda ledger, some=commands: world.record(ledger, some))
        elif step == "again" and world.unanswered:
            command = world.unanswered.pop(0)
            world.attempt(lambda ledger, one=command: world.record(ledger, [one]))
        elif step == "publish":
            world.attempt(world.publish)
        elif step == "jump":
            world.now += random.choice([10**3, 10**6, 10**8])
        elif step == "back":
            world.now -= 5_000_000
            try:
                world.record(random.choice(world.ledgers), [])
            except ClockWentBack:
                pass
            except RetryLater:
                pass
            except Killed:
                pass
            world.now += 5_000_000
        elif step == "die":
            world.start(2)
    world.must_be_sound(world.heal())
    return world
