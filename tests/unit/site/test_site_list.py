"""The list of many sites: a file, a folder of WordPresses, a folder of files; and its faults."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wpbridge.errors import ConfigError, NotObeyed
from wpbridge.site.site_list import SiteList, read_sites

WEB, BOB = 33, 1234
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

Wordpress = Callable[[str], Path]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "srv"
    folder.mkdir()
    return folder


@pytest.fixture
def wordpress(here: Path) -> Wordpress:
    """Makes a WordPress whose configuration nobody can read as PHP: the list must not try."""

    def make(place: str) -> Path:
        folder = here / place
        folder.mkdir(parents=True)
        (folder / "wp-config.php").write_bytes(b"<?php \xff nothing that PHP could read (")
        return folder

    return make


def listed(here: Path, text: str) -> SiteList:
    file = here / "sites.toml"
    file.write_text(text)
    return read_sites(file, {})


def names(sites: SiteList) -> list[str]:
    assert sites.faults == ()
    return [site.name for site in sites.sites]


def faults(sites: SiteList) -> list[str]:
    return [f"{Path(fault.place).name}: {fault.problem}" for fault in sites.faults]


def test_a_file_says_each_site_in_its_own_way(here: Path, wordpress: Wordpress) -> None:
    wordpress("shop/public_html")
    wordpress("network")
    (here / "blog.toml").write_text("")
    sites = listed(
        here,
        """
        [defaults]
        user = "root"
        php = true

        [[sites]]
        path = "shop/public_html"
        config = "blog.toml"

        [[sites]]
        name = "main"
        path = "network"
        network = true

        [[sites]]
        dsn = "mysql://bob:s3cret@db/jobs"
        table_prefix = "x_"
        handlers = ["acts"]
        user = "daemon"
        """,
    )
    assert names(sites) == ["shop", "main", "jobs"]
    shop, main, jobs = sites.sites
    assert (shop.path, shop.config) == (here / "shop/public_html", here / "blog.toml")
    assert (shop.user, shop.php, main.network) == ("root", True, True)
    assert (jobs.user, jobs.php, jobs.table_prefix, jobs.handlers) == (
        "daemon",
        None,
        "x_",
        ("acts",),
    )
    assert (jobs.owner, jobs.folder) == (None, here)
    assert "s3cret" not in repr(sites)


def test_the_settings_of_a_site_are_those_of_its_entry(here: Path) -> None:
    (here / "shop.toml").write_text('[site]\nname = "other"\n[run]\nconcurrency = 7\n')
    told = '[[sites]]\ndsn = "sqlite:///a.db"\nconfig = "shop.toml"\nhandlers = ["acts"]'
    (entry,) = listed(here, told).sites
    env = {"WPBRIDGE_PATH": "/elsewhere", "WPBRIDGE_VERBOSE": "1", "WPBRIDGE_HANDLERS": "mine"}
    settings = entry.settings(env)
    assert (settings.site_name, settings.path, settings.dsn) == ("a", None, "sqlite:///a.db")
    assert (settings.concurrency.most, settings.verbose) == (7, 1)
    assert (settings.handlers, settings.handlers_folder) == (("acts",), str(here))
    plain = entry.plain_settings()
    assert (plain.dsn, plain.handlers, plain.verbose) == ("sqlite:///a.db", (), 0)


def test_blogs_of_a_network_are_named_after_it(here: Path, wordpress: Wordpress) -> None:
    wordpress("net")
    (entry,) = listed(here, '[[sites]]\npath = "net"\nnetwork = true').sites
    blog = entry.of_blog(7)
    assert (blog.name, blog.network, blog.blog_id, blog.path) == ("net.7", False, 7, here / "net")


def test_all_faults_are_told_at_once_with_their_places(here: Path, wordpress: Wordpress) -> None:
    wordpress("shop")
    sites = listed(
        here,
        """
        sitse = 1
        [[sites]]
        name = "Shop"
        paht = "shop"

        [[sites]]
        name = "gone"
        path = "gone"

        [[sites]]
        name = "both"
        path = "shop"
        url = "https://x.example"
        blog_id = 0

        [[sites]]
        dsn = "mysql://bob:s3cret"
        user = "nobody-of-this-name"
        config = "gone.toml"

        [[sites]]
        name = "good"
        path = "shop"

        [[sites]]
        dsn = "sqlite:///a.db"
        php = true
        network = true
        blog_id = 2
        """,
    )
    assert [site.name for site in sites.sites] == ["good"]
    assert faults(sites) == [
        "sites.toml: unknown setting sitse; did you mean sites?",
        "sites.toml: site 1: unknown setting paht; did you mean path?",
        "sites.toml: site 1: name expects letters from a to z, digits, dots and hyphens, 63 at most, the first one a letter or a digit",
        "sites.toml: site 3 (both): blog_id expects a whole number from 1 to 4611686018427387904",
        "sites.toml: site 3 (both): name a blog by url or by blog_id, not by both",
        "sites.toml: site 4: user expects a user of this system, not 'nobody-of-this-name'",
        f"sites.toml: site 4: the settings file {here}/gone.toml does not exist",
        "sites.toml: site 4: the DSN cannot be read; it looks like mysql://user:password@host:3306/database or sqlite:///file.db",
        "sites.toml: site 6: network = true means all blogs, so there is no url and no blog_id beside it",
        "sites.toml: site 6: php = true needs the path of a WordPress",
        f"sites.toml: site 2 (gone): {here}/gone does not exist; --path names the folder of a WordPress",
    ]
    with pytest.raises(ConfigError, match="site 2") as refused:
        sites.refuse()
    assert len(refused.value.faults) == len(sites.faults)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no site in it"),
        ("sites = 3", "sites is a list of tables: [[sites]]"),
        ("sites = [3]", "it is a table"),
        ("[[sites]]\nname = 'a'", "name its WordPress with path, or its database with dsn"),
    ],
)
def test_a_list_without_sites_says_why(here: Path, text: str, fault: str) -> None:
    sites = listed(here, text)
    assert (sites.sites, [one.problem for one in sites.faults]) == ((), [fault])


def test_with_wrong_defaults_no_site_of_the_file_counts(here: Path) -> None:
    sites = listed(here, '[defaults]\npath = "x"\n[[sites]]\ndsn = "sqlite:///a.db"')
    assert sites.sites == ()
    assert [fault.problem[:20] for fault in sites.faults] == ["unknown setting path"]


def test_what_is_no_list_is_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match="is no TOML"):
        listed(here, "[[sites")
    with pytest.raises(ConfigError, match=r"the list of sites .*/gone does not exist"):
        read_sites(here / "gone", {})


def test_a_folder_is_a_list_of_its_wordpresses(here: Path, wordpress: Wordpress) -> None:
    for place in ("b.example/htdocs", "a.example", "c/web", ".hidden", "two/public", "two/www"):
        wordpress(place)
    (here / "empty").mkdir()
    above = wordpress("Above It!")
    (above / "html").mkdir()
    (above / "html/wp-settings.php").write_text("")
    (here / "b.example/public_html").symlink_to("htdocs")
    sites = read_sites(here, {})
    assert [(site.name, str(site.path.relative_to(here))) for site in sites.sites if site.path] == [
        ("above-it", "Above It!"),
        ("a.example", "a.example"),
        ("b.example", "b.example/public_html"),
        ("c", "c/web"),
        ("two", "two/www"),
        ("two-2", "two/public"),
    ]
    assert (sites.faults, sites.others) == ((), (here / "empty",))


def test_files_of_a_folder_are_lists_too(here: Path, wordpress: Wordpress) -> None:
    wordpress("shop")
    (here / "a.toml").write_text('[[sites]]\ndsn = "sqlite:///a.db"\n')
    (here / "b.toml").write_text("[[sites]]\n")
    (here / "c.toml").write_text("c")
    (here / ".hidden.toml").write_text("c")
    sites = read_sites(here, {})
    assert [site.name for site in sites.sites] == ["shop", "a"]
    assert [Path(fault.place).name for fault in sites.faults] == ["b.toml: site 1", "c.toml"]


def test_a_name_or_a_queue_counts_once(here: Path, wordpress: Wordpress) -> None:
    wordpress("net")
    wordpress("shop")
    (here / "other").symlink_to("shop")
    sites = listed(
        here,
        """
        sites = [
          {path = "shop", name = "a"}, {path = "other", name = "b"},
          {path = "shop", blog_id = 2, name = "a"}, {path = "shop", blog_id = 3, name = "c"},
          {path = "net", network = true, name = "net"}, {path = "net", blog_id = 4},
          {dsn = "mysql://a:b@db/x"}, {dsn = "mysql://a:c@db/x", table_prefix = "wp_"},
          {dsn = "mysql://a:c@db/x", table_prefix = "x_"}, {dsn = "mysql://a:c@db/y", name = "net.4"},
        ]
        """,
    )
    assert [site.name for site in sites.sites] == ["a", "c", "net", "x", "x-2"]
    assert faults(sites) == [
        f"sites.toml: site 2 (b): it is the same queue as {here}/sites.toml: site 1 (a)",
        f"sites.toml: site 6: it is the same queue as {here}/sites.toml: site 5 (net)",
        f"sites.toml: site 8: it is the same queue as {here}/sites.toml: site 7",
        f"sites.toml: site 3 (a): a is the name of {here}/sites.toml: site 1 (a), too",
        "sites.toml: site 10 (net.4): net.4 would be a blog of a network",
    ]


@as_root
def test_nobody_takes_a_site_from_its_list_by_a_link(here: Path, wordpress: Wordpress) -> None:
    (here / "alice").mkdir()
    os.chown(wordpress("bob/html"), BOB, BOB)
    os.chown(here / "bob", BOB, BOB)
    os.chown(here / "alice", WEB, WEB)
    (here / "alice/html").symlink_to(here / "bob/html")
    os.chown(here / "alice/html", WEB, WEB, follow_symlinks=False)
    sites = read_sites(here, {})
    assert [(site.name, site.owner) for site in sites.sites] == [("bob", BOB)]
    assert [fault.place for fault in sites.faults] == [str(here / "alice/html")]


@as_root
def test_a_site_is_of_the_first_user_on_the_way(here: Path, wordpress: Wordpress) -> None:
    # Whoever owns a folder above can put another one in its place.
    os.chown(wordpress("a/html"), BOB, BOB)
    os.chown(here / "a", WEB, WEB)
    os.chown(wordpress("b/html") / "wp-config.php", BOB, BOB)
    wordpress("c/html")
    above = wordpress("d")
    (above / "html").mkdir()
    os.chown(above / "html", WEB, WEB)
    (here / "sites.toml").write_text('[[sites]]\npath = "d/html"\nname = "e"')
    assert [site.owner for site in read_sites(here / "sites.toml", {}).sites] == [WEB]
    (here / "sites.toml").unlink()
    owners = {site.name: site.owner for site in read_sites(here, {}).sites}
    assert owners == {"a": WEB, "b": BOB, "c": 0, "d": 0}


@as_root
def test_a_list_that_others_may_write_is_not_obeyed(here: Path, wordpress: Wordpress) -> None:
    wordpress("shop")
    file = here / "more.toml"
    file.write_text('[[sites]]\ndsn = "sqlite:///a.db"')
    os.chown(file, WEB, WEB)
    with pytest.raises(NotObeyed, match=r"the list of sites .* is not obeyed by root"):
        read_sites(file, {})
    sites = read_sites(here, {})
    assert [site.name for site in sites.sites] == ["shop"]
    assert [fault.place for fault in sites.faults] == [str(file)]
    here.chmod(0o777)
    with pytest.raises(NotObeyed, match=r"the folder of sites .* everybody may write it"):
        read_sites(here, {})
    assert [site.name for site in read_sites(here, {"WPBRIDGE_TRUST": "1"}).sites] == ["shop", "a"]


@as_root
def test_root_knows_no_user_where_others_may_write_above(here: Path, wordpress: Wordpress) -> None:
    (wordpress("group/shop").parent).chmod(0o775)
    wordpress("good")
    sites = listed(here, 'sites = [{path = "group/shop"}, {path = "good"}]')
    assert [site.name for site in sites.sites] == ["good"]
    assert "the group root may write it" in str(sites.faults[0])
