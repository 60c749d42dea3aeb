"""The command line: what it reads, what it says, how it ends."""

from __future__ import annotations

import gzip
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tallystick_verify import Incomplete, Malformed, open_source
from tallystick_verify.cli import main
from tallystick_verify.source import Web, read_tile

from .ledger_builder import Ledger, small_ledger, write


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return small_ledger().write(tmp_path / "published")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def ledger_of(folder: Path, *more: object) -> tuple[object, ...]:
    return ("ledger", folder, "--policy", folder / "policy", *more)


def test_a_ledger_at_public_depth(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *ledger_of(published))
    assert (status, err) == (0, "")
    assert "verdict: verified\ndepth: public\nnot checked:\n" in out
    assert "  - bodies: amounts" in out
    assert [line.split(".")[0].strip() for line in out.splitlines()[1:10]] == [str(number) for number in range(1, 10)]


@pytest.mark.parametrize("bodies", ["bodies", "bodies/000.jsonl"])
def test_a_ledger_at_auditor_depth(published: Path, capsys: pytest.CaptureFixture[str], bodies: str) -> None:
    status, out, _ = run(capsys, *ledger_of(published, "--bodies", published / bodies))
    assert status == 0
    assert " 11. double entry and every balance: ok" in out
    assert "verdict: verified\ndepth: auditor\n" in out


def test_what_the_depth_requires_and_is_not_there(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, *ledger_of(published, "--depth", "auditor"))
    assert status == 2
    assert "verdict: could not complete\ndepth: auditor\n" in out
    assert "bodies were not given: nothing from entry 0 on (REQUIRED)" in out


def test_bodies_that_are_not_all_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger()
    for number in range(300):
        ledger.pay(f"p{number}", "a", "b", 1)
    folder = ledger.write(tmp_path)
    rest = (folder / "bodies/001.jsonl").read_bytes()
    (folder / "bodies/001.jsonl").unlink()
    status, out, _ = run(capsys, *ledger_of(folder, "--bodies", folder / "bodies"))
    assert status == 2
    assert "the body of entry 256 is absent" in out
    assert "  7. root of the tree: ok" in out
    lines = (folder / "bodies/000.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "bodies/000.jsonl").write_bytes(b"".join(lines[:-1]))
    status, out, _ = run(capsys, *ledger_of(folder, "--bodies", folder / "bodies"))
    assert status == 2
    assert "the body of entry 255 is absent" in out
    (folder / "bodies/000.jsonl").write_bytes(b"".join([*lines[:7], *lines[8:], lines[7]]))
    status, out, _ = run(capsys, *ledger_of(folder, "--bodies", folder / "bodies", "--json"))
    report = json.loads(out)
    assert (status, report["failure"]["message"]) == (1, "the parts are not those that were recorded")
    assert report["failure"]["seq"] == 7
    (folder / "bodies/000.jsonl").write_bytes(b"".join(lines))
    (folder / "bodies/001.jsonl").write_bytes(rest + b"[]\n")  # of a ledger that has grown since
    status, out, _ = run(capsys, *ledger_of(folder, "--bodies", folder / "bodies"))
    assert status == 2
    assert "verify them with a newer checkpoint" in out


def test_a_missing_tile_is_not_tampering(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (published / "tile/0/000.p/18").unlink()
    status, out, _ = run(capsys, *ledger_of(published))
    assert status == 2
    assert "file: tile/0/000.p/18" in out


def test_tampering_as_json(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile = published / "tile/0/000.p/18"
    tile.write_bytes(tile.read_bytes()[:160] + bytes(32) + tile.read_bytes()[192:])
    status, out, _ = run(capsys, *ledger_of(published, "--json"))
    report = json.loads(out)
    assert (status, report["verdict"], report["exit"]) == (1, "TAMPERING FOUND", 1)
    failure = report["failure"]
    assert (failure["seq"], failure["expected"], failure["step"]) == (5, "00" * 32, 2)
    assert [step["outcome"] for step in report["steps"]][:2] == ["ok", "FAILED"]


def test_destroyed_parts_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = small_ledger()
    ledger.destroy(3, "metadata/invoice")
    folder = ledger.write(tmp_path)
    status, out, _ = run(capsys, *ledger_of(folder, "--bodies", folder / "bodies"))
    assert status == 0
    assert "entry 3: 1 destroyed part(s)" in out
    ledger.destroy(4, "legs/0")
    ledger.write(tmp_path)
    status, out, _ = run(capsys, *ledger_of(folder, "--bodies", folder / "bodies"))
    assert status == 2
    assert "entry 4: destroyed, perhaps legs: not checked" in out
    assert " 11. double entry and every balance: partly checked" in out


def test_an_earlier_checkpoint(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = tmp_path / "seen"
    seen.write_bytes(small_ledger().checkpoint(6))
    status, out, _ = run(capsys, *ledger_of(published, "--seen", seen))
    assert status == 0
    assert "  8. checkpoints seen before are prefixes: ok (1 of them)" in out
    assert "no earlier checkpoint" not in out


def test_a_receipt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = small_ledger()
    files = {"r.tlog-proof": ledger.proof(3), "r.json": ledger.disclosure(3, [1]), "policy": ledger.policy()}
    write(files, tmp_path)
    arguments = (
        "receipt",
        tmp_path / "r.tlog-proof",
        "--disclosure",
        tmp_path / "r.json",
        "--policy",
        tmp_path / "policy",
    )
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert "verdict: verified\ndepth: holder\n" in out
    (tmp_path / "r.json").write_bytes(ledger.disclosure(3, [1]).replace(b"pay-1", b"pay-7"))
    assert run(capsys, *arguments)[0] == 1
    (tmp_path / "r.json").unlink()
    assert run(capsys, *arguments)[0] == 2


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind,depth", [("ledger", "auditor"), ("receipts", "holder")])
def test_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, depth: str, packed: bool) -> None:
    ledger = small_ledger()
    files = ledger.bundle(kind, 3, 4)
    place = write(files, tmp_path / "bundle")
    if packed:
        place = tmp_path / "bundle.zip"
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, raw in files.items():
                archive.writestr(name, raw)
    policy = tmp_path / "policy"
    policy.write_bytes(ledger.policy())
    status, out, _ = run(capsys, "bundle", place, "--policy", policy)
    assert status == 0, out
    assert f"verdict: verified\ndepth: {depth}\n" in out
    assert "the maker's own word: Later entries." in out
    # The bundle's own policy is not a reason to believe it.
    status, out, _ = run(capsys, "bundle", place)
    assert status == 2
    assert "the only trust policy is the bundle's own; give yours with --policy (REQUIRED)" in out
    if kind == "receipts":
        assert run(capsys, "bundle", place, "--policy", policy, "--depth", "auditor")[0] == 2


def test_a_bundle_with_a_file_more_or_less(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = small_ledger()
    place = write(ledger.bundle(), tmp_path / "bundle")
    (place / "checkpoints").mkdir()
    (place / "checkpoints/6").write_bytes(ledger.checkpoint(6))
    status, out, _ = run(capsys, "bundle", place, "--policy", place / "policy", "--json")
    assert (status, json.loads(out)["failure"]["message"]) == (1, "a file that the manifest does not list")
    write(ledger.with_manifest(ledger.files() | {"checkpoints/6": ledger.checkpoint(6)}), place)
    status, out, _ = run(capsys, "bundle", place, "--policy", place / "policy")
    assert status == 0
    assert "8. checkpoints seen before are prefixes: ok (1 of them)" in out
    (place / "checkpoints/6").unlink()
    assert run(capsys, "bundle", place, "--policy", place / "policy")[0] == 1


def test_disclosures_in_a_bundle_serve_as_bodies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = small_ledger()
    files = {name: raw for name, raw in ledger.files().items() if not name.startswith("bodies/")}
    for seq, entry in enumerate(ledger.entries):
        if entry.parts:
            files[f"entries/{seq}.json"] = ledger.disclosure(seq)
    place = write(ledger.with_manifest(files), tmp_path / "bundle")
    status, out, _ = run(capsys, "bundle", place, "--policy", place / "policy")
    assert status == 0
    assert "depth: auditor" in out
    other = small_ledger()
    other.entries[4].stub = other.entries[4].stub.replace(b'"batch":0', b'"batch":1')
    files["entries/4.json"] = other.disclosure(4)
    write(ledger.with_manifest(files), place)
    status, out, _ = run(capsys, "bundle", place, "--policy", place / "policy", "--json")
    assert (status, json.loads(out)["failure"]["message"]) == (1, "the entry was disclosed as another")
    assert json.loads(out)["failure"]["seq"] == 4


def test_a_zip_that_holds_a_name_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "twice.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("manifest.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("manifest.json", "{}")
    assert run(capsys, "bundle", place)[0] == 1


@pytest.mark.parametrize(
    "arguments,status",
    [
        ((), 64),
        (("ledger",), 64),
        (("ledger", "{folder}"), 64),
        (("ledger", "{folder}", "--policy", "{folder}/policy", "--depth", "deep"), 64),
        (("ledger", "{folder}", "--policy", "{folder}/policy", "--depth", "public", "--bodies", "{folder}"), 64),
        (("ledger", "ftp://x.example/", "--policy", "{folder}/policy"), 64),
        (("bundle", "{folder}"), 2),
        (("ledger", "{folder}", "--policy", "{folder}/nowhere"), 78),
        (("ledger", "{folder}", "--policy", "{folder}/checkpoint"), 78),
        (("ledger", "{folder}/nowhere", "--policy", "{folder}/policy"), 2),
        (("ledger", "{folder}", "--policy", "{folder}/policy", "--bodies", "{folder}/nowhere"), 2),
        (("ledger", "{folder}", "--policy", "{folder}/policy", "--seen", "{folder}/nowhere"), 2),
    ],
)
def test_exit_statuses(
    published: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int
) -> None:
    found, out, err = run(capsys, *(argument.format(folder=published) for argument in arguments))
    assert found == status
    assert err.startswith("tallystick-verify: ") or "could not complete" in out


def test_readme_shows_the_help(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out in (repository / "verifier" / "README.md").read_text()


# --- over HTTP --------------------------------------------------------------------------------------------------------


@contextmanager
def served(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


class Packed(Quiet):
    """Encodes without being asked, as tlog-tiles allows."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        raw = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.mark.parametrize("handler", [Quiet, Packed])
def test_a_ledger_over_http(published: Path, capsys: pytest.CaptureFixture[str], handler: type[Quiet]) -> None:
    with served(partial(handler, directory=str(published))) as url:
        status, out, _ = run(capsys, "ledger", url, "--policy", published / "policy", "--bodies", published / "bodies")
        assert status == 0
        assert f"ledger at {url}" in out
        (published / "tile/entries/000.p/18").unlink()
        status, out, _ = run(capsys, "ledger", f"{url}/", "--policy", published / "policy")
        assert status == 2
        assert "file: tile/entries/000.p/18" in out
    assert run(capsys, "ledger", url, "--policy", published / "policy")[0] == 2  # nobody there


def test_a_full_tile_serves_where_the_partial_one_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger()
    for number in range(260):
        ledger.pay(f"p{number}", "a", "b", 1)
    folder = ledger.write(tmp_path, ledger.checkpoint(200))  # an older checkpoint, its partial tiles collected
    with served(partial(Quiet, directory=str(folder))) as url:
        for place in (url, folder):
            status, out, _ = run(capsys, "ledger", place, "--policy", folder / "policy")
            assert status == 0, out
            assert "size: 200" in out


class Endless(BaseHTTPRequestHandler):
    """Answers everything with more than anybody asked for."""

    encoding = "identity"

    def do_GET(self) -> None:
        self.send_response(503 if "busy" in self.path else 200)
        self.send_header(
            "Content-Encoding", "br" if "br" in self.path else "gzip" if "gzip" in self.path else "identity"
        )
        self.end_headers()
        block = bytes(1 << 16) if "gzip" not in self.path else gzip.compress(bytes(1 << 24))
        try:
            for _ in range(1 if "gzip" in self.path else 1 << 12):
                self.wfile.write(block)
        except OSError:
            return  # the reader has hung up, as it should

    def log_message(self, format: str, *args: object) -> None: ...


def test_no_server_fills_the_memory() -> None:
    with served(Endless) as url:
        for path in ("", "gzip"):
            with pytest.raises(Malformed, match="larger than anything"):
                read_tile(Web(f"{url}/{path}"), 0, 0, 256)
        for path in ("busy", "br"):
            with pytest.raises(Incomplete):
                read_tile(Web(f"{url}/{path}"), 0, 0, 256)
    assert open_source("https://log.example/x").name == "https://log.example/x"
