"""docker/wordpress.yaml as a whole: an empty site becomes one whose PHP actions wpbridge runs.

The images of MariaDB, of WordPress and of WP-CLI are Debian's packages here, of the same versions of
MariaDB and PHP, with as much of the images' own behaviour as the file counts on: variables, secret
files, and the ``wp-config.php`` that the image of WordPress lays. With ``WPBRIDGE_TEST_PLUGIN`` the
real Action Scheduler is active, with ``WPBRIDGE_TEST_WP`` workers start through a real WP-CLI.
"""

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from composed import Project, missing_compose
from conftest import ROOT, needs
from contained import handlers_in
from containers import Container, Podman
from daemons import until
from deployed import DEPLOY, DOCKERFILE
from wordpress import FILES, INSTALL, missing_wordpress, plugin_folder
from wpbridge.cli.exit_codes import Exit

pytestmark = pytest.mark.timeout(1800)
"""The first one on a machine makes the base of all images."""

BASE = "python:3.13-slim-trixie"
FILE = yaml.safe_load((DEPLOY / "docker" / "wordpress.yaml").read_text("utf-8"))
MARIADB = f"""FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends mariadb-server
COPY start /usr/local/bin/
COPY healthcheck.sh /usr/local/bin/
ENTRYPOINT ["start"]
"""
START = """#!/bin/sh
set -e
[ -d /var/lib/mysql/mysql ] || mariadb-install-db --auth-root-authentication-method=normal > /dev/null
password=$(cat "$MARIADB_PASSWORD_FILE")
cat > /tmp/init.sql <<SQL
CREATE DATABASE IF NOT EXISTS $MARIADB_DATABASE;
CREATE USER IF NOT EXISTS '$MARIADB_USER'@'%' IDENTIFIED BY '$password';
GRANT ALL ON $MARIADB_DATABASE.* TO '$MARIADB_USER'@'%';
SQL
chmod 644 /tmp/init.sql
mkdir -p /run/mysqld
exec mariadbd --user=root --bind-address=0.0.0.0 --init-file=/tmp/init.sql
"""
HEALTH = """#!/bin/sh
[ "$*" = "--connect --innodb_initialized" ] && exec mariadb-admin ping
"""
WORDPRESS = """FROM {php}
USER root
COPY html /var/www/html
RUN chown -R www-data /var/www/html
HEALTHCHECK NONE
WORKDIR /var/www/html
ENTRYPOINT ["php", "-S", "0.0.0.0:80", "-t", "/var/www/html"]
CMD []
"""
CALLBACKS = """<?php
add_action( 'look_in_php', function () {
    file_put_contents( WP_CONTENT_DIR . '/uploads/seen.json', wp_json_encode( array(
        'user' => posix_getuid(), 'version' => PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION,
    ) ) );
} );
"""


def config_of_the_image() -> str:
    """The wp-config.php that the image of WordPress lays."""
    text = (ROOT / "tests" / "forms" / "wp_config_other.txt").read_text("utf-8")
    form = text.split("=== docker-config-extra\n")[1].split("\n--- ")[0]
    return form[form.index("<?php") :]


def pulled(podman: Podman, folder: Path, name: str, dockerfile: str, **files: str) -> str:
    """An image that stands for one that is pulled."""
    place = folder / name
    place.mkdir(exist_ok=True)
    for file, text in files.items():
        (place / file).write_text(text, "utf-8")
        (place / file).chmod(0o755)
    (place / "Dockerfile").write_text(dockerfile, "utf-8")
    return podman.build(place / "Dockerfile", place)


@pytest.fixture(scope="module")
def php_image(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Our image with PHP. The WP-CLI in it is none, unless one is named."""
    needs(missing_compose() or missing_wordpress())
    stand_in = tmp_path_factory.mktemp("cli")
    said = "#!/bin/sh\necho 'This is no WP-CLI.' >&2\nexit 1\n"
    dockerfile = "FROM scratch\nCOPY wp /usr/local/bin/wp\n"
    image = pulled(podman, stand_in, "cli", dockerfile, wp=said)
    podman.told("tag", image, "docker.io/library/wordpress:cli-2.12")
    return podman.build(DOCKERFILE, ROOT, "--target", "php")


@pytest.fixture(scope="module")
def wordpress_image(
    podman: Podman, php_image: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    folder = tmp_path_factory.mktemp("wordpress")
    html = folder / "wordpress" / "html"
    # Debian's links lead to other packages of its.
    shutil.copytree(FILES, html, ignore=shutil.ignore_patterns("wp-config.php", "languages"))
    (html / "wp-content" / "uploads").mkdir(exist_ok=True)
    (html / "wp-content" / "mu-plugins").mkdir(exist_ok=True)
    (html / "wp-content" / "mu-plugins" / "look.php").write_text(CALLBACKS, "utf-8")
    (html / "wp-config.php").write_text(config_of_the_image(), "utf-8")
    if (plugin := plugin_folder()) is not None:
        shutil.copytree(plugin, html / "wp-content" / "plugins" / "action-scheduler")
    return pulled(podman, folder, "wordpress", WORDPRESS.format(php=php_image))


@pytest.fixture
def site(podman: Podman, php_image: str, wordpress_image: str, tmp_path: Path) -> Iterator[Project]:
    """The project of the file, of which nothing is started."""
    handlers_in(tmp_path)
    shutil.copy(DEPLOY / "docker" / "wordpress.yaml", tmp_path)
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "db_password").write_text("pa$s word\n", "utf-8")
    start = {"start": START, "healthcheck.sh": HEALTH}
    images = {"db": pulled(podman, tmp_path, "mariadb", MARIADB, **start)}
    images["wordpress"] = wordpress_image
    more: dict[str, Any] = {
        name: {"image": images.get(name, php_image)} for name in FILE["services"]
    }
    for name in ("prepare", "wpbridge"):
        more[name]["environment"] = {"WPBRIDGE_WP": "php"}
        if (named := os.environ.get("WPBRIDGE_TEST_WP")) is not None:
            program = Path(shlex.split(named)[0])
            more[name]["environment"] = {"WPBRIDGE_WP": f"/wp-cli/{program.name}"}
            more[name]["volumes"] = [f"{program.parent}:/wp-cli:ro"]
    (tmp_path / "here.yaml").write_text(yaml.safe_dump({"services": more}), "utf-8")
    it = Project(podman, tmp_path, "wordpress.yaml", "here.yaml")
    try:
        yield it
    finally:
        it.compose("down", "--volumes")


def start(site: Project, name: str) -> Container:
    site.compose("up", "--detach", "--no-build", "--no-deps", name)
    return site.service(name)


@pytest.mark.long
def test_an_empty_site_becomes_one_whose_php_actions_wpbridge_runs(site: Project) -> None:
    db = start(site, "db")
    until(db.is_healthy, db.said, pause=0.5)
    wordpress = start(site, "wordpress")
    until(wordpress.is_healthy, wordpress.said, pause=0.5)
    # Nobody has installed WordPress yet.
    prepare = start(site, "prepare")
    assert prepare.code() == Exit.CONFIG, prepare.said()
    assert len(prepare.said().strip().splitlines()) == 1, prepare.said()
    active = "action-scheduler/action-scheduler.php" if plugin_folder() else ""
    install = ("php", "-d", "display_errors=stderr", "-r", INSTALL, "--", "/var/www/html")
    wordpress.told(*install, "Europe/Berlin", active)
    if not active:
        # What the plugin would make at its first load.
        site.compose("run", "--rm", "--no-deps", "prepare", "wpbridge init --with-tables")
    else:
        wordpress.told("php", "-r", "require '/var/www/html/wp-load.php';")
    prepare = start(site, "prepare")
    assert prepare.code() == Exit.OK, prepare.said()
    daemon, gateway = start(site, "wpbridge"), start(site, "gateway")
    for one in (daemon, gateway):
        until(one.is_healthy, one.said, pause=0.5)
        assert one.inspect(".HostConfig.ReadonlyRootfs") == "true"
        assert one.told("id", "-u") == "33"
    daemon.told("wpbridge", "enqueue", "look_in_php")
    seen = ("cat", "/var/www/html/wp-content/uploads/seen.json")
    until(lambda: daemon.run(*seen).returncode == 0, daemon.said, pause=0.2)
    assert json.loads(wordpress.told(*seen)) == {"user": 33, "version": "8.4"}
    # The companion plugin is there, and the daemon is who runs everything.
    assert "wpbridge" in wordpress.told("ls", "/var/www/html/wp-content/mu-plugins")
    site.compose("stop", "wpbridge", "gateway")
    assert (daemon.code(), gateway.code()) == (Exit.TERMINATED, Exit.OK)
