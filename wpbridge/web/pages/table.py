"""The table of pages and changes: routes, roles, navigation and tests are made from it.

Nobody gets past the role of a row. What may be asked for without one is in :mod:`.signing_in` and
:mod:`.statics`.
"""

from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.queue.commands import COMMANDS
from wpbridge.site.rules import Role
from wpbridge.web.pages import (
    action,
    actions,
    all_sites,
    bulk,
    changing,
    configuration,
    doctor,
    failures,
    hooks,
    jobs,
    measures,
    overview,
    recurring,
    sites,
    workers,
)
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: a GET that changes nothing."""

    path: str
    name: str
    """The name of its module, by which links mean it."""
    title: str
    answer: Answer
    role: Role = "viewer"
    key: str = ""
    """The key that leads there after ``g``."""
    is_listed: bool = True
    """Whether the navigation has it."""

    @property
    def target(self) -> str:
        """Return the path as links of the dashboard have it."""
        return self.path.lstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One change: a POST of a form."""

    path: str
    name: str
    answer: Answer
    role: Role


PAGES: Final[tuple[Page, ...]] = (
    Page(path="/", name="overview", title=N_("Overview"), answer=overview.show, key="o"),
    Page(path="/actions", name="actions", title=N_("Actions"), answer=actions.show, key="a"),
    Page(
        path="/actions/{action}",
        name="action",
        title=N_("Action"),
        answer=action.show,
        is_listed=False,
    ),
    Page(path="/failures", name="failures", title=N_("Failures"), answer=failures.show, key="f"),
    Page(
        path="/recurring", name="recurring", title=N_("Recurring"), answer=recurring.show, key="r"
    ),
    Page(path="/workers", name="workers", title=N_("Workers"), answer=workers.show, key="w"),
    Page(path="/hooks", name="hooks", title=N_("Hooks and groups"), answer=hooks.show, key="h"),
    Page(path="/measures", name="measures", title=N_("Metrics"), answer=measures.show, key="m"),
    Page(path="/jobs", name="jobs", title=N_("Jobs and callbacks"), answer=jobs.show, key="j"),
    Page(path="/sites", name="sites", title=N_("Sites"), answer=sites.show, key="n"),
    Page(
        path="/enqueue",
        name="enqueue",
        title=N_("Enqueue"),
        answer=changing.enqueue_form,
        role="operator",
        is_listed=False,
    ),
    Page(
        path="/changes/preview",
        name="preview",
        title=N_("Change everything that matches"),
        answer=bulk.preview,
        role="operator",
        is_listed=False,
    ),
    Page(path="/doctor", name="doctor", title=N_("Doctor"), answer=doctor.show, key="d"),
    Page(path="/settings", name="settings", title=N_("Settings"), answer=configuration.show),
    Page(path="/audit", name="audit", title=N_("Audit"), answer=configuration.audit),
)
DEEDS: Final[tuple[Deed, ...]] = (
    *(
        Deed(
            path=f"/changes/{verb}",
            name=verb,
            answer=changing.answer_for(verb),
            role=command.role,
        )
        for verb, command in COMMANDS.items()
    ),
    Deed(path="/changes/start", name="bulk", answer=bulk.start, role="operator"),
    Deed(path="/doctor/fix", name="doctor-fix", answer=doctor.fix, role="admin"),
    Deed(path="/hooks/pause", name="hooks", answer=hooks.pause, role=COMMANDS["pause"].role),
    Deed(path="/hooks/resume", name="hooks", answer=hooks.resume, role=COMMANDS["resume"].role),
    Deed(path="/jobs/replay", name="jobs", answer=jobs.replay, role=COMMANDS["requeue"].role),
)
INDEX: Final = (
    Page(path="/", name="all_sites", title=N_("All sites"), answer=all_sites.show, role="admin"),
)
"""The pages of the index of many sites. Who sees it sees all of them, so only admins do."""
NAVIGATION: Final = tuple(page for page in PAGES if page.is_listed)
