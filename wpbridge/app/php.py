"""Start WordPress in PHP, ask it what it knows, and make the pool of its workers."""

from collections.abc import Collection, Mapping

from wpbridge.action import UPKEEP_HOOKS
from wpbridge.clock import Clock
from wpbridge.executors.base import Mailbox
from wpbridge.executors.php.executor import PhpPool
from wpbridge.executors.php.frames import Hello
from wpbridge.executors.php.launch import Launch, launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.executors.php.probe import interview, notes, refusal
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.network import blogs_or_none
from wpbridge.telling.counting import Counter


def php_launch(settings: Settings, site: Site, store: OpenStore, env: Mapping[str, str]) -> Launch:
    """Return how this site's PHP workers are started. Raises ConfigError when they cannot be."""
    return launch(
        settings.wp,
        path=site.folder,
        url=settings.url or _url_of(site, store),
        user=settings.user,
        skip_plugins=settings.skip_plugins,
        env=env,
        trusted=settings.trusted,
    )


def ask_php(settings: Settings, site: Site, store: OpenStore, env: Mapping[str, str]) -> Hello:
    """Load WordPress once. Raises WpCliError with its own words when it does not start."""
    return interview(php_launch(settings, site, store, env))[0]


def callbacks(
    settings: Settings, site: Site, store: OpenStore, hooks: Collection[str], env: Mapping[str, str]
) -> Mapping[str, bool]:
    """Load WordPress once, and ask which of these hooks have a callback in PHP."""
    return interview(php_launch(settings, site, store, env), hooks)[1]


def judge_php(settings: Settings, store: OpenStore, hello: Hello) -> tuple[str | None, list[str]]:
    """Say why PHP must not run this queue's actions (None: it may), and give any notes."""
    return refusal(hello, prefix=store.names.prefix, bookkeeping=settings.php_books), notes(hello)


def _url_of(site: Site, store: OpenStore) -> str | None:
    """Return the site's address: PHP of a network must be told which of its sites is meant."""
    found = blogs_or_none(store.session, store.dialect, site.base_prefix) or []
    return {b: f"{domain}{path}" for b, domain, path in found}.get(site.blog_id or 1)


def php_pool(
    settings: Settings,
    store: RunnerStore,
    mailbox: Mailbox,
    clock: Clock,
    start: Launch,
    *,
    counter: Counter | None = None,
) -> PhpPool:
    """Make the pool of PHP workers, which starts none before there is work for it."""
    limits = PoolLimits(
        workers=settings.php_workers_each(),
        timeout=settings.php_timeout,
        max_actions=settings.php_max_actions,
        max_age=settings.php_max_age,
        max_memory=settings.php_max_memory,
        bookkeeping=settings.php_books,
        missing=settings.missing_callback,
        on_crash=settings.on_crash,
    )
    return PhpPool(
        start,
        limits=limits,
        clock=clock,
        mailbox=mailbox,
        greeting=Greeting(
            accept=lambda hello: refusal(
                hello, prefix=store.names.prefix, bookkeeping=settings.php_books
            ),
            runner=store.whoami,
        ),
        native=UPKEEP_HOOKS,
        counter=counter,
    )
