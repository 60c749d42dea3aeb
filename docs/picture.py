"""Draws `docs/demo.svg`, the picture in the README, from what the demo really prints (`make picture`)."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich import _export_format
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).resolve().parent
COLUMNS = 132


def main() -> None:
    """Run the demo on a terminal of its own, and draw what stood there at the end."""
    lines = [Text.from_ansi(line) for line in run().splitlines()]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", "bold"))
    for line in lines:
        line.rstrip()
        console.print(line, no_wrap=True, crop=False)
    # The fonts of whoever looks: nothing is fetched to show a picture.
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", _export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    (DOCS / "demo.svg").write_text(console.export_svg(title="tallystick demo", code_format=form, unique_id="demo"))


def run() -> str:
    """The demo's output, with its colours and without what was drawn over."""
    upper, lower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "60", "TERM": "xterm-256color"}
    command = [str(Path(sys.executable).parent / "tallystick"), "demo"]
    with subprocess.Popen(command, stdout=lower, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(lower)
        said = b""
        while True:
            try:
                piece = os.read(upper, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
    if process.returncode:
        sys.exit(f"the demo failed with {process.returncode}:\n{said.decode()}")
    text = said.decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[\?25[lh]|\x1b\[[0-9]*[ABCDGJK]", "", text)


if __name__ == "__main__":
    main()
