"""Whether a web server may hand out what lies in a folder."""

from pathlib import Path

import pytest

from wpbridge.system.served_folders import why_served


def made(root: Path, *names: str) -> None:
    """Files below a folder, and folders where a name ends with a slash."""
    for name in names:
        place = root / name
        if name.endswith("/"):
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


@pytest.mark.parametrize(
    ("there", "folder", "root", "words"),
    [
        # In the WordPress folder, and below it.
        ([], "site", "site", "is a folder of the WordPress site"),
        ([], "site/a/b", "site", "is a folder of the WordPress site"),
        (["site/wp-load.php"], "site/private", None, "has the file wp-load.php"),
        (["site/wp-settings.php"], "site/a/b", None, "has the file wp-settings.php"),
        (["site/wp-config.php"], "site", None, "has the file wp-config.php"),
        (
            ["site/wp-config.php", "site/blog/wp-settings.php"],
            "site/data",
            "site/blog",
            "has the file wp-config.php",
        ),
        # In a document root that WordPress lies below, or beside.
        (
            ["root/index.html", "root/blog/wp-load.php"],
            "root/data",
            "root/blog",
            "has the file index.html",
        ),
        (["root/.htaccess"], "root/data", None, "has the file .htaccess"),
        (["html/blog/"], "html/data", "html/blog", "has the name of a web site's folder"),
        ([], "home/public_html/data", None, "has the name of a web site's folder"),
        ([], "data/wp-content/backups", None, "has the name of a web site's folder"),
        # Elsewhere.
        (["html/"], "data", "html", None),
        (["site/wp-config.php", "site/html/wp-settings.php"], "site/data", "site/html", None),
        ([], "web/data", None, None),
    ],
)
def test_a_folder_is_judged_by_what_lies_in_it_and_above(
    there: list[str], folder: str, root: str | None, words: str | None, tmp_path: Path
) -> None:
    made(tmp_path, *there)
    why = why_served(tmp_path / folder, [] if root is None else [tmp_path / root])
    if words is None:
        assert why is None
    else:
        assert why is not None
        assert words in why
        assert str(tmp_path / folder) in why


@pytest.mark.parametrize("home", ["/var/www", "/home/shop/www", "/srv/web/shop"])
def test_a_folder_that_nobody_named_is_refused_where_it_looks_like_a_web_site(home: str) -> None:
    state = Path(home, ".local/state/wpbridge")
    assert "the name of a web site's folder" in (why_served(state, is_found=True) or "")
    assert why_served(state) is None
    assert why_served(Path("/home/shop/.local/state/wpbridge"), is_found=True) is None


def test_what_was_named_may_lie_beside_the_document_root_of_debian() -> None:
    assert why_served(Path("/var/www/private"), [Path("/var/www/html")]) is None
    assert why_served(Path("/var/www/html/x"), [Path("/var/www/html/blog")]) is not None
