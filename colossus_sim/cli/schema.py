"""``colossus-sim schema``: the JSON Schema of a file, for editors."""

from __future__ import annotations

import click

from colossus_sim.cli.common import Settings, echo_json, output_options

KINDS = ("scenario", "topology", "sweep")


@click.command("schema")
@click.option(
    "--kind",
    default="scenario",
    show_default=True,
    metavar="KIND",
    help="scenario, topology or sweep.",
)
@output_options
def schema(kind: str, settings: Settings) -> None:
    """Print the JSON Schema of a scenario, topology or sweep file.

    \b
    Editors with a YAML language server use it after this first line of a file:
      # yaml-language-server: $schema=scenario.schema.json
    """
    from colossus_sim.errors import UsageError
    from colossus_sim.loading.json_schema import file_schema, schema_of
    from colossus_sim.loading.suggest import nearest_hint

    if kind not in KINDS:
        raise UsageError(f"there is no schema of kind {kind!r}; {nearest_hint(kind, KINDS)}")
    if kind == "sweep":
        from colossus_sim.sweeps.spec import SweepSpec

        echo_json(schema_of(kind, SweepSpec))
    else:
        echo_json(file_schema(kind))
