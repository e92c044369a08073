"""What wpbridge has written for systemd and cron is recognised again, also after a change."""

import os
from pathlib import Path

import pytest

from wpbridge import __version__
from wpbridge.installing import written

LABEL = "/var/www/a shop (old)"
LINE = "* * * * * cd /srv && /opt/wpbridge claim-and-run"


def test_a_unit_says_whose_it_is_and_whether_it_was_changed() -> None:
    text = written.sealed(LABEL, "[Unit]\nDescription=x\n")
    one = written.unit_of(text)
    assert one == written.Written(kind="systemd", label=LABEL, version=__version__)
    changed = written.unit_of(text.replace("=x", "=y"))
    assert changed is not None
    assert changed.is_changed
    without_sum = written.unit_of("\n".join([text.splitlines()[0], "[Unit]"]))
    assert without_sum is not None
    assert without_sum.is_changed
    for other in ("", "[Unit]\n", f"\n{text}", text.replace("install systemd", "install cron")):
        assert written.unit_of(other) is None


def test_lines_of_a_crontab_are_found_between_others() -> None:
    mark = written.mark(LABEL, "cron")
    text = f"MAILTO=x\n{mark}\n{LINE}\n0 * * * * true\n{mark} no\n{LINE}\n  {mark}\n{LINE} -v\n"
    found = written.cron_lines_of(text)
    assert [(one.label, one.line) for one in found] == [(LABEL, LINE), (LABEL, f"{LINE} -v")]


def test_a_machine_is_searched(tmp_path: Path) -> None:
    units, cron_d, spool = (tmp_path / name for name in ("units", "cron.d", "spool"))
    for folder in (units, cron_d, spool):
        folder.mkdir()
    (units / "wpbridge-shop.service").write_text(written.sealed(LABEL, "[Unit]\n"), "utf-8")
    (units / "other.service").write_text("[Unit]\n", "utf-8")
    (units / "link.service").symlink_to(units / "wpbridge-shop.service")
    text = f"{written.mark(LABEL, 'cron')}\n{LINE}\n"
    (cron_d / "wpbridge").write_text(text, "utf-8")
    (spool / "www-data").write_text(text, "utf-8")
    crontabs = [tmp_path / "crontab", cron_d, spool]
    found = written.found(units, crontabs)
    assert [one.place.name for one in found.units] == ["wpbridge-shop.service"]
    assert [one.place for one in found.cron_lines] == [cron_d / "wpbridge", spool / "www-data"]
    assert found.unread == []
    assert written.found(tmp_path / "none", [tmp_path / "none"]) == written.Found(
        units=[], cron_lines=[], unread=[]
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_places_that_may_not_be_looked_into_are_named(tmp_path: Path) -> None:
    closed = tmp_path / "spool"
    closed.mkdir(mode=0)
    assert written.found(tmp_path / "none", [closed]).unread == [closed]
