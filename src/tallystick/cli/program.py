"""The program itself: its exit codes, and how errors leave it.

| code | meaning                                                                     |
|------|-----------------------------------------------------------------------------|
| 0    | done, verified                                                              |
| 1    | tampering found: what is stored or shown contradicts what was proven        |
| 2    | could not complete, and nothing is said about tampering                     |
| 64   | wrong usage, or a request that was refused                                  |
| 78   | the installation is not set up for this                                     |
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from tallystick.cli.session import Session
from tallystick.errors import TallystickError

__all__ = ["Program"]

EXIT_INCOMPLETE = 2
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130


class Program(click.Group):
    """A group whose exit codes are the table above; no other error than tampering ever ends it with 1."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run, and exit."""
        session = Session()
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name or "tallystick", obj=session, **extra)
            sys.stdout.flush()
        except click.UsageError as error:
            error.show()
            code = EXIT_USAGE
        except click.ClickException as error:
            error.show()
            code = EXIT_INCOMPLETE
        except (click.Abort, KeyboardInterrupt):
            code = EXIT_INTERRUPTED
        except TallystickError as error:
            session.complain(error)
            code = error.exit_code
        except BrokenPipeError:  # the reader has seen enough; nothing more can be said to it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = EXIT_INCOMPLETE
        except OSError as error:
            click.echo(f"{error.filename or 'operating system'}: {error.strerror or error}", err=True)
            code = EXIT_INCOMPLETE
        except Exception:  # noqa: BLE001 (a bug must not exit with Python's own 1, which means tampering here)
            traceback.print_exc()
            code = EXIT_INCOMPLETE
        sys.exit(code if isinstance(code, int) else 0)
