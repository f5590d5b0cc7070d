"""`mnemic completion`: the script that completes commands, options and names in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mnemic.cli.options import json_option
from mnemic.cli.printing import emit


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print the completion script of a shell.

    \b
    bash   mnemic completion bash > ~/.local/share/bash-completion/completions/mnemic
    zsh    mnemic completion zsh > ~/.zfunc/_mnemic       (~/.zfunc stands in $fpath)
    fish   mnemic completion fish > ~/.config/fish/completions/mnemic.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "mnemic", "_MNEMIC_COMPLETE").source()
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)
