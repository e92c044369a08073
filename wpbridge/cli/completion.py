"""``completion``: the shell's own tab key."""

import click
from click.shell_completion import get_completion_class

from wpbridge.cli.terminal import write_data


@click.command(
    short_help="Print a shell's completion script.",
    epilog="""
Examples:
  wpbridge completion bash > /etc/bash_completion.d/wpbridge
  wpbridge completion zsh > ~/.zfunc/_wpbridge
  wpbridge completion fish > ~/.config/fish/completions/wpbridge.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click knows the three
    root = ctx.find_root()
    write_data(kind(root.command, {}, "wpbridge", "_WPBRIDGE_COMPLETE").source() + "\n")
