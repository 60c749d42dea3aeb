"""`doctor`, `completion`."""

from __future__ import annotations

import click

from tallystick.cli.session import Session, options, pass_session

__all__ = ["completion", "doctor"]

MISCONFIGURED_EXIT = 78


@click.command(short_help="Say what is misconfigured.")
@options()
@pass_session
def doctor(session: Session) -> int:
    """Say what is misconfigured: database, roles, triggers, tile folder. Exit 78 if a promise is broken."""
    with session.installation() as installation:
        findings = installation.diagnose()
    columns = ("level", "what", "found", "next_step")
    session.rows([{name: getattr(finding, name) for name in columns} for finding in findings], columns)
    return MISCONFIGURED_EXIT if any(finding.level == "error" for finding in findings) else 0


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Install:
      bash: tallystick completion bash > ~/.local/share/bash-completion/completions/tallystick
      zsh:  tallystick completion zsh > "${fpath[1]}/_tallystick"
      fish: tallystick completion fish > ~/.config/fish/completions/tallystick.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "tallystick", "_TALLYSTICK_COMPLETE").source())
