"""Users of WordPress, as its tables hold them."""

from itertools import count

from rows import change
from wpbridge.store.running.runner_store import RunnerStore

PHPASS = b"$P$BFAEz9MfjaMi091UN2uX2huw8qVxSL0"
BLAKE = b"$generic$67MX7gbgf6DVrQskC8ErlUJyOKdy6bJ16905sq6S"
BLAKE_PASSWORD = "s5n4yGlVLiD1fTXvdW3cQ9Zb"
OWN_PASSWORD = b"$P$BcyosM0TTj/ZO8sFr2QX5kRoQfqR/Z/"
"""The hash of BLAKE_PASSWORD too: as if the account had it as its own."""
ROLES = (
    b'a:2:{s:13:"administrator";a:2:{s:4:"name";s:13:"Administrator";s:12:"capabilities";'
    b'a:2:{s:14:"manage_options";b:1;s:4:"read";b:1;}}s:6:"editor";a:2:{s:4:"name";s:6:"Editor";'
    b's:12:"capabilities";a:1:{s:10:"edit_posts";b:1;}}}'
)
ADMIN = b'a:1:{s:13:"administrator";b:1;}'


def entries(*hashes: bytes) -> bytes:
    """What WordPress keeps of application passwords."""
    rows = b"".join(
        b'i:%d;a:4:{s:4:"uuid";s:1:"u";s:4:"name";s:2:"ci";s:8:"password";s:%d:"%s";'
        b's:9:"last_used";N;}' % (place, len(one), one)
        for place, one in enumerate(hashes)
    )
    return b"a:%d:{%s}" % (len(hashes), rows)


class WordPress:
    """Makes users, and the tables with the first one."""

    def __init__(self, store: RunnerStore) -> None:
        self._store = store
        self._numbers = count(1)
        is_file = store.parts.dialect.is_file
        self._text = "TEXT COLLATE NOCASE" if is_file else "varchar(255)"
        self._key = (
            "INTEGER PRIMARY KEY AUTOINCREMENT" if is_file else "bigint PRIMARY KEY AUTO_INCREMENT"
        )
        self._blob = "TEXT" if is_file else "longtext"
        change(
            store,
            f"CREATE TABLE wp_options (option_id {self._key}, option_name {self._text},"
            f" option_value {self._blob}, autoload varchar(20))",
        )
        change(
            store,
            "INSERT INTO wp_options (option_name, option_value, autoload) VALUES (:n, :v, 'yes')",
            n="wp_user_roles",
            v=ROLES.decode(),
        )

    def add(
        self,
        login: str,
        passwords: bytes | None,
        capabilities: bytes | None = ADMIN,
        *,
        prefix: str = "wp_",
        base: str = "wp_",
        spam: int = 0,
    ) -> int:
        """Make a user and return its id."""
        change(
            self._store,
            f"CREATE TABLE IF NOT EXISTS {base}users (ID bigint, user_login {self._text},"
            f" user_pass {self._text}, user_email {self._text}, spam int)",
        )
        change(
            self._store,
            f"CREATE TABLE IF NOT EXISTS {base}usermeta (umeta_id {self._key}, user_id bigint,"
            f" meta_key {self._text}, meta_value {self._blob})",
        )
        user = next(self._numbers)
        change(
            self._store,
            f"INSERT INTO {base}users VALUES (:i, :l, :p, :e, :s)",
            i=user,
            l=login,
            p=OWN_PASSWORD.decode(),
            e=f"{login}@lab.test",
            s=spam,
        )
        meta = {"_application_passwords": passwords, f"{prefix}capabilities": capabilities}
        for name, value in meta.items():
            if value is not None:
                change(
                    self._store,
                    f"INSERT INTO {base}usermeta (user_id, meta_key, meta_value)"
                    " VALUES (:u, :k, :v)",
                    u=user,
                    k=name,
                    v=value.decode(),
                )
        return user
