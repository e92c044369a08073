import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from wpbridge.errors import ConfigError, SiteError
from wpbridge.site.database import SOCKETS, Client, DatabaseAddress, Tls, parse_db_host
from wpbridge.site.wpconfig import Unknown, Value, WpConfig


def config(root: Path = Path("/nowhere"), **values: Value) -> WpConfig:
    plain: dict[str, Value] = {
        "DB_NAME": "shop",
        "DB_USER": "bob",
        "DB_PASSWORD": "s3cret",
        "DB_HOST": "db.example",
    }
    return WpConfig(file=root / "wp-config.php", abspath=root, values={**plain, **values})


def from_wp(*sockets: str, **values: Value) -> DatabaseAddress:
    told = config(Path("/nowhere"), **values)
    return DatabaseAddress.from_wp(told, exists=lambda path: path in sockets)


class TestDsn:
    def test_all_of_it(self) -> None:
        address = DatabaseAddress.from_dsn(
            "mysql://bo%40b:p%40ss%2Fw%25rd@db.example:3307/sh%20op"
            "?unix_socket=&ssl_ca=/ca.pem&charset=latin1&collation=latin1_bin"
        )
        assert address.driver == "mysql"
        assert (address.host, address.port, address.socket) == ("db.example", 3307, None)
        assert (address.user, address.password) == ("bo@b", "p@ss/w%rd")
        assert (address.name, address.path) == ("sh op", None)
        assert (address.charset, address.collate) == ("latin1", "latin1_bin")
        assert address.tls == Tls(ca="/ca.pem", verify_cert=True)

    @pytest.mark.parametrize(
        ("scheme", "client"),
        [
            ("mariadb", "auto"),
            ("MySQL", "auto"),
            ("mysql+pymysql", "pymysql"),
            ("mariadb+pymysql", "pymysql"),
            ("mysql+mysqlclient", "mysqlclient"),
            ("mariadb+mysqldb", "mysqlclient"),
        ],
    )
    def test_other_names_of_the_same(self, scheme: str, client: Client) -> None:
        plain = DatabaseAddress.from_dsn("mysql://h/d")
        assert DatabaseAddress.from_dsn(f"{scheme}://h/d") == replace(plain, client=client)

    def test_defaults(self) -> None:
        address = DatabaseAddress.from_dsn("mysql://localhost/d")
        assert (address.host, address.port) == ("localhost", 3306)
        assert (address.user, address.password, address.tls) == (None, None, None)
        assert address.charset == "utf8mb4"

    def test_a_password_may_hold_most_characters_as_they_are(self) -> None:
        address = DatabaseAddress.from_dsn("mysql://bob:a/b#c:d[e]+$'\"é@h/d")
        assert address.password == "a/b#c:d[e]+$'\"é"
        assert address.host == "h"

    @pytest.mark.parametrize(
        "text", ["mysql://u@/d?unix_socket=/x.sock", "mysql:///d?unix-socket=/x.sock"]
    )
    def test_a_socket(self, text: str) -> None:
        address = DatabaseAddress.from_dsn(text)
        assert (address.host, address.port, address.socket) == (None, None, "/x.sock")

    def test_ipv6(self) -> None:
        address = DatabaseAddress.from_dsn("mysql://u:p@[::1]:3307/d")
        assert (address.host, address.port) == ("::1", 3307)
        assert address.safe == "mysql://u@[::1]:3307/d"

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("sqlite:///queue.db", "queue.db"),
            ("sqlite:////srv/q.db", "/srv/q.db"),
            ("sqlite:///a%20b?.db", None),
            ("sqlite://", ":memory:"),
            ("sqlite:///:memory:", ":memory:"),
            ("sqlite+pysqlite:///q", "q"),
        ],
    )
    def test_sqlite(self, text: str, path: str | None) -> None:
        if path is None:
            with pytest.raises(ConfigError, match="unknown option"):
                DatabaseAddress.from_dsn(text)
        else:
            address = DatabaseAddress.from_dsn(text)
            assert (address.driver, address.path, address.name) == ("sqlite", path, None)

    @pytest.mark.parametrize(
        ("query", "tls"),
        [
            ("", None),
            ("ssl=false", None),
            ("ssl=true", Tls()),
            ("ssl_cert=c&ssl_key=k", Tls(cert="c", key="k")),
            ("ssl_ca=a", Tls(ca="a", verify_cert=True)),
            ("ssl_ca=a&ssl_verify_cert=0", Tls(ca="a")),
            ("ssl_verify_identity=1", Tls(verify_cert=True, verify_identity=True)),
            ("ssl-verify-cert=yes", Tls(verify_cert=True)),
        ],
    )
    def test_tls(self, query: str, tls: Tls | None) -> None:
        assert DatabaseAddress.from_dsn(f"mysql://h/d?{query}").tls == tls

    def test_the_drivers_options_demand_tls(self) -> None:
        assert Tls().driver_options() == {"verify_mode": False, "check_hostname": False}
        full = Tls(ca="a", cert="c", key="k", verify_identity=True).driver_options()
        assert full == {
            "ca": "a",
            "cert": "c",
            "key": "k",
            "verify_mode": True,
            "check_hostname": True,
        }

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "cannot be read"),
            ("s3cret", "cannot be read"),
            ("mysql://bob:s3cret@x@h/d", "write @ as %40"),
            ("postgres://bob:s3cret@h/d", "begins with postgres://"),
            ("mysql://bob:s3cret@h", "names no database"),
            ("mysql://bob:s3cret@h:99999/d", "port 99999"),
            ("mysql://bob:s3cret@h/d?sslca=x", "did you mean ssl_ca"),
            ("mysql://bob:s3cret@h/d?ssl=maybe", "true or false"),
            ("sqlite://queue.db", "three slashes"),
            ("sqlite:///q?mode=ro", "unknown option mode"),
            ("sqlite:///q?ssl=1", "takes no options"),
        ],
    )
    def test_one_that_cannot_be_read_is_told_without_its_secrets(
        self, text: str, problem: str
    ) -> None:
        with pytest.raises(ConfigError, match=problem) as caught:
            DatabaseAddress.from_dsn(text)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "host", "port", "socket"),
    [
        ("localhost", "localhost", None, None),
        ("db.example:3307", "db.example", 3307, None),
        ("127.0.0.1:3306", "127.0.0.1", 3306, None),
        ("localhost:/run/x.sock", "localhost", None, "/run/x.sock"),
        (":/run/x.sock", "", None, "/run/x.sock"),
        ("host:3307:/run/x.sock", "host", 3307, "/run/x.sock"),
        ("::1", "::1", None, None),
        ("[::1]", "::1", None, None),
        ("[::1]:3307", "::1", 3307, None),
        ("[2001:db8::7]:/run/x.sock", "2001:db8::7", None, "/run/x.sock"),
        ("2001:0db8:0:0:0:0:0:7", "2001:0db8:0:0:0:0:0:7", None, None),
        ("", "", None, None),
        ("host:", "host", None, None),
        ("host:abc", "host", None, None),
        ("host:0", "host", None, None),
        ("host/path", "host", None, None),
        ("p:db.example", "p", None, None),
        ("x:y:z", "x:y:z", None, None),
    ],
)
def test_db_host_is_taken_apart_as_wordpress_does(
    text: str, host: str, port: int | None, socket: str | None
) -> None:
    assert parse_db_host(text) == (host, port, socket)


class TestWordPress:
    def test_a_server(self) -> None:
        address = from_wp(DB_HOST="db.example:3307")
        assert (address.host, address.port, address.socket) == ("db.example", 3307, None)
        assert (address.user, address.password, address.name) == ("bob", "s3cret", "shop")
        assert from_wp().port == 3306

    @pytest.mark.parametrize(
        ("constants", "spoken"),
        [
            # As wpdb of WordPress 7.0 tells of itself.
            ({"DB_CHARSET": "utf8", "DB_COLLATE": ""}, ("utf8mb4", "utf8mb4_unicode_520_ci")),
            ({"DB_CHARSET": "utf8mb4"}, ("utf8mb4", "utf8mb4_unicode_520_ci")),
            (
                {"DB_CHARSET": "utf8", "DB_COLLATE": "utf8_general_ci"},
                ("utf8mb4", "utf8mb4_unicode_520_ci"),
            ),
            ({"DB_CHARSET": "utf8", "DB_COLLATE": "utf8_bin"}, ("utf8mb4", "utf8mb4_bin")),
            (
                {"DB_CHARSET": "utf8mb4", "DB_COLLATE": "utf8mb4_general_ci"},
                ("utf8mb4", "utf8mb4_general_ci"),
            ),
            ({"DB_CHARSET": "UTF8"}, ("UTF8", None)),
            ({"DB_CHARSET": "utf8mb3"}, ("utf8mb3", None)),
            ({"DB_CHARSET": "latin1"}, ("latin1", None)),
            (
                {"DB_CHARSET": "latin1", "DB_COLLATE": "utf8_general_ci"},
                ("latin1", "utf8_general_ci"),
            ),
            ({}, (None, None)),
            ({"DB_CHARSET": ""}, (None, None)),
            ({"DB_COLLATE": "utf8_bin"}, (None, "utf8_bin")),
            ({"MULTISITE": True}, ("utf8mb4", "utf8mb4_unicode_520_ci")),
            ({"MULTISITE": True, "DB_COLLATE": "utf8_bin"}, ("utf8mb4", "utf8mb4_bin")),
            ({"MULTISITE": True, "DB_CHARSET": "latin1"}, ("latin1", "utf8_general_ci")),
        ],
    )
    def test_the_character_set_is_wordpress_own(
        self, constants: dict[str, Value], spoken: tuple[str | None, str | None]
    ) -> None:
        address = from_wp(**constants)
        assert (address.charset, address.collate) == spoken

    def test_binary_sessions_are_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"wp-config.php is binary, .* charset="):
            from_wp(DB_CHARSET="Binary")

    def test_a_dsn_beside_it_may_leave_the_character_set_to_it(self) -> None:
        latin, other = config(DB_CHARSET="latin1"), "mysql://h/d?charset=cp1251"
        assert DatabaseAddress.from_dsn("mysql://h/d", latin).charset == "latin1"
        assert DatabaseAddress.from_dsn(other, latin).charset == "cp1251"

    def test_a_character_set_that_cannot_be_read_is_no_ones(self) -> None:
        unknown = Unknown("/wp-config.php", 3, "a call")
        with pytest.raises(SiteError, match="DB_CHARSET"):
            from_wp(DB_CHARSET=unknown)
        with pytest.raises(SiteError, match="cannot be told"):
            DatabaseAddress.from_wp(replace(config(), doubt=unknown))
        address = DatabaseAddress.from_dsn("mysql://h/d", config(DB_CHARSET=unknown))
        assert address.charset == "utf8mb4", "the DSN is the way out"

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "", "localhost:3307"])
    def test_localhost_is_the_first_socket_there_is(self, host: str) -> None:
        # Given some sockets
        address = from_wp(SOCKETS[2], SOCKETS[1], DB_HOST=host)
        # Then PHP's order decides, and a port changes nothing
        assert (address.host, address.port, address.socket) == (None, None, SOCKETS[1])

    def test_localhost_without_any_socket_is_tcp(self) -> None:
        address = from_wp(DB_HOST="localhost:3307")
        assert (address.host, address.port, address.socket) == ("127.0.0.1", 3307, None)

    @pytest.mark.parametrize("host", ["localhost:/my.sock", ":/my.sock"])
    def test_a_named_socket_is_taken_whether_it_exists_or_not(self, host: str) -> None:
        assert from_wp(SOCKETS[0], DB_HOST=host).socket == "/my.sock"

    def test_another_host_has_no_socket(self) -> None:
        address = from_wp(SOCKETS[0], DB_HOST="db.example:/my.sock")
        assert (address.host, address.socket) == ("db.example", None)

    @pytest.mark.parametrize(
        ("flags", "tls"),
        [
            (None, None),
            (32, None),
            (2048, Tls()),
            (2048 | 32, Tls()),
            (64, Tls()),
            (2048 | 64, Tls()),
            (2048 | 1 << 30, Tls(verify_cert=True, verify_identity=True)),
            ("2048", Tls()),
        ],
    )
    def test_client_flags_ask_for_tls(self, flags: Value, tls: Tls | None) -> None:
        assert from_wp(MYSQL_CLIENT_FLAGS=flags).tls == tls

    @pytest.mark.parametrize("missing", ["DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST"])
    def test_what_is_missing_is_named(self, missing: str) -> None:
        values = {name: value for name, value in config().values.items() if name != missing}
        bare = WpConfig(file=Path("/x"), abspath=Path("/"), values=values)
        with pytest.raises(SiteError, match=f"does not set {missing}"):
            DatabaseAddress.from_wp(bare)


class TestWordPressOnSqlite:
    def test_the_drop_in_makes_it_one(self, tmp_path: Path) -> None:
        (tmp_path / "wp-content").mkdir()
        drop_in = tmp_path / "wp-content" / "db.php"
        drop_in.write_text("<?php define( 'SQLITE_DB_DROPIN_VERSION', '1.8.0' );")
        address = DatabaseAddress.from_wp(config(tmp_path))
        assert address.driver == "sqlite"
        assert address.path == f"{tmp_path}/wp-content/database/.ht.sqlite"
        assert address.safe == f"sqlite:///{address.path}"
        mysql = DatabaseAddress.from_wp(config(tmp_path, DB_ENGINE="mysql"))
        assert mysql.driver == "mysql"

    def test_another_drop_in_does_not(self, tmp_path: Path) -> None:
        (tmp_path / "db.php").write_text("<?php // HyperDB")
        assert DatabaseAddress.from_wp(config(WP_CONTENT_DIR=str(tmp_path))).driver == "mysql"

    @pytest.mark.parametrize(
        ("values", "path"),
        [
            ({}, "/c/database/.ht.sqlite"),
            ({"DB_DIR": "/data"}, "/data/.ht.sqlite"),
            ({"DB_DIR": "/data/", "DB_FILE": "wp.db"}, "/data/wp.db"),
            ({"DB_FILE": "wp.db"}, "/c/database/wp.db"),
            ({"FQDBDIR": "/f/", "DB_DIR": "/data"}, "/f/.ht.sqlite"),
            ({"FQDB": "/f/x.db", "DB_FILE": "y"}, "/f/x.db"),
        ],
    )
    def test_where_the_file_is(self, values: dict[str, str], path: str) -> None:
        bare = WpConfig(
            file=Path("/x"),
            abspath=Path("/"),
            values={"DB_ENGINE": "sqlite", "WP_CONTENT_DIR": "/c", **values},
        )
        assert DatabaseAddress.from_wp(bare).path == path


def test_the_password_is_shown_nowhere() -> None:
    address = DatabaseAddress.from_dsn("mysql://bob:s3cret@h:3307/d?unix_socket=/x.sock")
    assert "s3cret" not in repr(address) + str(address) + address.safe
    assert address.safe == "mysql://bob@localhost/d?unix_socket=/x.sock"


@pytest.mark.parametrize(
    ("password", "sent"),
    [
        (None, b""),
        ("plain", b"plain"),
        ("pä€", "pä€".encode()),
        ("\udce9x", b"\xe9x"),
    ],
)
def test_the_password_is_sent_in_the_bytes_php_sends(password: str | None, sent: bytes) -> None:
    assert DatabaseAddress(driver="mysql", password=password).password_bytes == sent


@pytest.mark.parametrize(
    "account",
    [
        "u:s3c/ret@x",
        "u:x@s3c/ret",
        "u/s3c:ret",
        "u:1@s3c",
        "u:x@y/s3c?ret",
        "u:x@y/z?ret=s3c",
        "s@3c:x",
    ],
)
@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql"])
def test_a_password_that_splits_the_dsn_is_refused_and_not_shown(scheme: str, account: str) -> None:
    with pytest.raises(ConfigError) as refused:
        DatabaseAddress.from_dsn(f"{scheme}://{account}@db.example/shop")
    assert "write @ as %40, / as %2F" in str(refused.value)
    assert "s3c" not in str(refused.value)


@pytest.mark.parametrize(
    "rest",
    ["u:a%40b%2Fc@h/n", "u:a/b@h/n", "u:p@h/n?unix_socket=/run/my@1.sock", "h/n", "u@[::1]:1/n"],
)
def test_a_dsn_that_is_whole_is_taken(rest: str) -> None:
    assert DatabaseAddress.from_dsn(f"mysql://{rest}").name == "n"


def test_a_port_that_is_none_is_no_matter_of_the_password() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        DatabaseAddress.from_dsn("mysql://u:p@h:port/n")
