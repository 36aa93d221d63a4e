"""``colossus-sim schema``: the JSON Schema of a file, for editors."""

from __future__ import annotations

import click

from colossus_sim.cli.common import Settings, echo_json, output_options


@click.command("schema")
@click.option(
    "--kind",
    default="scenario",
    show_default=True,
    metavar="KIND",
    help="scenario or topology.",
)
@output_options
def schema(kind: str, settings: Settings) -> None:
    """Print the JSON Schema of a scenario or topology file.

    \b
    Editors with a YAML language server use it after this first line of a file:
      # yaml-language-server: $schema=scenario.schema.json
    """
    from colossus_sim.loading.json_schema import file_schema

    echo_json(file_schema(kind))
