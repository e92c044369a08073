"""The group of migrations: lazy, complete, and each command there where its help says so."""

from click.testing import CliRunner

from wpbridge.cli.main import cli


def test_a_misspelt_migration_is_guessed() -> None:
    told = CliRunner().invoke(cli, ["migrate", "exprot"])
    assert told.exit_code == 2
    assert "did you mean export?" in told.stderr


def test_what_is_listed_can_be_called() -> None:
    shown = CliRunner().invoke(cli, ["migrate", "--help"]).output
    names = [line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line]
    assert {"export", "import", "copy"} <= set(names)
    for name in names:
        assert CliRunner().invoke(cli, ["migrate", name, "--help"]).exit_code == 0
