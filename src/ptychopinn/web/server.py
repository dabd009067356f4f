"""The page on this machine: it follows the results, and reads the pattern that somebody clicks.

Everything is read in threads beside the loop of the server, so that the page answers while a scan is read. One reader
of each result serves all windows of the browser.
"""

import errno
import gc
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, final

from bokeh.document import Document
from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.models import Select
from bokeh.resources import Resources
from bokeh.server.server import Server
from bokeh.server.views.static_handler import StaticHandler
from bokeh.settings import settings

from ptychopinn.errors import OutputError, PtychoPINNError
from ptychopinn.plotting.content import PatternFit, best_median_worst
from ptychopinn.studies.campaign.ledger import LEDGER, entries_of
from ptychopinn.web import text
from ptychopinn.web.maps import Maps
from ptychopinn.web.page import Page, View, note
from ptychopinn.web.patterns import Patterns, correlation_of
from ptychopinn.web.reader import Known, Reader, Source
from ptychopinn.web.results import Result, State, result_paths, state_of
from ptychopinn.web.static import template, title_of
from ptychopinn.web.token import Token

logger = logging.getLogger("ptychopinn")
HOST = "127.0.0.1"
LOOK_MS = 1500
"""Between two looks at the files: a look costs some calls of the file system."""
REST_MS = 250
"""Between sending the maps and all else, so that a browser draws the image before it lays out twice as many figures."""
AFTER_MS = 300
"""Between drawing a page and reading its scan, which imports torch and would delay the drawing by a second."""
NEWEST = "newest"
"""The choice that follows the result whose files changed last."""
MOST_ROWS = 500
"""Of the table of a campaign."""
NO_RESULT = "No result yet; the page follows the folder."
READING = "<p>The patterns are being read.</p>"


def policy(port: int) -> str:
    """What the page may ask for: the browser refuses every other host."""
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://{HOST}:{port}; base-uri 'none'; "
        "form-action 'none'; object-src 'none'"
    )


def scripts(port: int) -> str:
    """The elements that load Bokeh, without its parts for tables, WebGL and equations, which the page does not use."""
    parts = Resources(
        mode="server",
        root_url=f"http://{HOST}:{port}/",
        path_versioner=StaticHandler.append_version,
        components=["bokeh", "bokeh-widgets"],
    )
    elements, _ = bundle_for_objs_and_resources(None, parts)
    return str(elements)


@final
class Pane:
    """What one source shows in one window."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.paths: list[Path] = []
        self.wanted = NEWEST
        self.shown: Known | None = None
        self.state: State = ()
        self.table = note("")
        self.choice = Select(title="Result", value=NEWEST, options=[(NEWEST, "the newest")], width=260)

    def name_of(self, path: Path) -> str:
        """Of a result of this source."""
        if path == self.source.path:
            return self.source.name
        return f"{self.source.name}/{path.relative_to(self.source.path).as_posix()}"

    def find(self) -> tuple[list[Path], Path | None, str]:
        """The results that there are now, the one to show, and the table of a campaign."""
        path = self.source.path
        found = result_paths(path)
        chosen = next((one for one in found if str(one) == self.wanted), None)
        if chosen is None and found:
            chosen = max(found, key=lambda one: max((part[1] for part in state_of(one)), default=0))
        return found, chosen, _campaign_table(path)


@final
class Session:
    """One window of the browser."""

    def __init__(self, document: Document, reader: Reader, port: int) -> None:
        self._document = document
        self._reader = reader
        self._panes = [Pane(source) for source in reader.sources]
        self._page = Page(len(self._panes))
        self._is_looking = False
        self._is_open = True
        self._drawn = 0
        """How often all was drawn anew."""
        document.title = title_of([source.name for source in reader.sources])
        document.template = template()
        document.template_variables.update(policy=policy(port), scripts=scripts(port))
        for pane, above in zip(self._panes, self._page.above, strict=True):
            if not _is_single(pane.source.path):
                above.children = [pane.choice, pane.table]
                pane.choice.on_change("value", partial(self._choose, pane))
        document.add_root(self._page.root)
        document.add_next_tick_callback(self._look)
        document.add_periodic_callback(self._look, LOOK_MS)
        document.on_session_destroyed(self._close)

    def _close(self, _: Any) -> None:
        self._is_open = False

    def _later(self, call: Callable[[], None]) -> None:
        """Run in the loop of the server, from a thread."""
        if self._is_open:
            self._document.add_next_tick_callback(call)

    def _choose(self, pane: Pane, _: str, __: str, value: str) -> None:
        pane.wanted = value
        self._look()

    def _look(self) -> None:
        """Read what has changed, in a thread."""
        if self._is_looking:
            return
        self._is_looking = True

        def work() -> None:
            try:
                found = self._looked()
                self._later(partial(self._apply, found))
            except Exception:  # a folder that disappears while it is read is looked at again
                logger.exception("the results could not be read")
            finally:
                self._is_looking = False

        self._reader.quick.submit(work)

    def _looked(self) -> list[tuple[list[Path], Known | None, str]]:
        found = []
        for pane in self._panes:
            paths, chosen, table = pane.find()
            known = None
            if chosen is not None:
                known = self._reader.known(chosen, pane.source, pane.name_of(chosen))
            found.append((paths, known, table))
        return found

    def _apply(self, found: list[tuple[list[Path], Known | None, str]]) -> None:
        """Draw what has changed."""
        is_new = False
        for pane, (paths, known, table) in zip(self._panes, found, strict=True):
            if paths != pane.paths:
                pane.paths = paths
                pane.choice.options = [(NEWEST, "the newest"), *((str(one), pane.name_of(one)) for one in paths)]
            if pane.table.text != table:
                pane.table.text = table
            is_new = is_new or known is not pane.shown or (known is None and not pane.state)
            pane.state = pane.state or (("", 0, 0),)
        if is_new:
            self._show_all([known for _, known, _ in found])
            return
        for pane, view, (_, known, _) in zip(self._panes, self._page.views, found, strict=True):
            if known is not None and known.state != pane.state:
                pane.state = known.state
                view.show_texts(known.result)
                view.show_curves(known.result)

    def _show_all(self, found: Sequence[Known | None]) -> None:
        with self._document.models.freeze():  # else all models are gone through for each part of the page
            self._page.show_maps(self._results(found), _maps(found))
        for pane, known in zip(self._panes, found, strict=True):
            pane.shown = known
            if known is not None:
                pane.state = known.state
        self._drawn += 1
        rest = partial(self._show_rest, self._drawn, found)
        if any(_maps(found)):
            self._document.add_timeout_callback(rest, REST_MS)
        else:
            rest()

    def _results(self, found: Sequence[Known | None]) -> list[Result]:
        return [
            Result(pane.source.name, faults=(NO_RESULT,)) if one is None else one.result
            for pane, one in zip(self._panes, found, strict=True)
        ]

    def _show_rest(self, drawing: int, found: Sequence[Known | None]) -> None:
        """What stands below the maps, unless these have been drawn anew since; then read the scans."""
        if drawing != self._drawn:
            return
        with self._document.models.freeze():
            self._page.show_rest(self._results(found), _maps(found))
        for pane, view, known in zip(self._panes, self._page.views, found, strict=True):
            if known is None or known.patterns is None or view.positions is None:
                continue
            view.positions.selected.on_change("indices", partial(self._click, pane, view))
            if known.measured.is_set():
                self._show_measured(pane, view, known)
            else:
                view.pattern_text.text = READING
                self._soon(self._prepare, pane, view, known)
        images = [one for one in found if one is not None and one.result.image is not None]
        if len(found) == 2 and len(images) == 2:
            self._soon(self._correlate, images[0], images[1])

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        """Run in the thread for scans, once the page is drawn."""
        submit = partial(self._reader.slow.submit, call, *arguments)
        self._document.add_timeout_callback(lambda: _discard(submit()), AFTER_MS)

    def _prepare(self, pane: Pane, view: View, known: Known) -> None:
        self._reader.load(known)
        self._later(partial(self._show_loaded, pane, view, known))
        self._reader.measure(known)
        self._later(partial(self._show_measured, pane, view, known))

    def _correlate(self, first: Known, second: Known) -> None:
        curves = dict(correlation_of(first.result, second.result))

        def show() -> None:
            if self._panes[0].shown is first and self._panes[1].shown is second:
                self._page.views[0].show_correlation(curves)

        self._later(show)

    def _show_loaded(self, pane: Pane, view: View, known: Known) -> None:
        """The pattern that was clicked while the scan was read."""
        if pane.shown is known and not known.fault and view.positions is not None:
            self._click(pane, view, "indices", [], view.positions.selected.indices)

    def _show_measured(self, pane: Pane, view: View, known: Known) -> None:
        """Misfit, ring correlation and the worst pattern; or why there are none."""
        if pane.shown is not known or known.patterns is None:
            return
        if known.patterns.ratio is None:
            view.pattern_text.text = text.warning(known.fault)
            return
        view.show_ratio(known.patterns.ratio)
        if known.correlation:
            view.show_correlation(known.correlation)
        if view.positions is not None and not view.positions.selected.indices:
            view.positions.selected.indices = [best_median_worst(known.patterns.ratio)[-1][1]]

    def _click(self, pane: Pane, view: View, _: str, __: list[int], chosen: list[int]) -> None:
        """Read and draw the pattern of a position."""
        known = pane.shown
        if not chosen or known is None or known.patterns is None:
            return
        number = int(chosen[0])
        if not 0 <= number < len(known.patterns):
            return
        view.number.value = number
        if not known.loaded.is_set():
            view.pattern_text.text = READING  # `_show_loaded` asks again
            return
        if known.fault:
            return

        def work(patterns: Patterns = known.patterns) -> None:
            try:
                fit = patterns.fit(number)
            except (PtychoPINNError, OSError) as error:
                warning = text.warning(str(error))
                self._later(lambda: setattr(view.pattern_text, "text", warning))
                return
            self._later(partial(self._show_pattern, pane, view, known, fit))

        self._reader.quick.submit(work)

    def _show_pattern(self, pane: Pane, view: View, known: Known, fit: PatternFit) -> None:
        is_wanted = view.positions is not None and view.positions.selected.indices[:1] == [fit.number]
        if pane.shown is known and is_wanted:
            view.show_pattern(fit)


@final
class PageServer:
    """The server of a page, which listens from its creation on.

    Args:
        sources: folders of results, or reconstructions.
        port: of 127.0.0.1; 0 takes a free one.

    Raises:
        ScanError: a folder or file is not there, or a file holds no image.
        OutputError: the port is in use, or may not be used.
    """

    def __init__(self, sources: Sequence[Source], port: int) -> None:
        settings.resources = "server"
        settings.allowed_ws_origin = []
        self._token = secrets.token_urlsafe(24)
        self._reader = Reader(sources)
        self._server: Any = None
        if port == 0:
            port = _free_port()
        try:
            self._server = Server(
                {"/": self._open},
                address=HOST,
                port=port,
                allow_websocket_origin=[f"{HOST}:{port}"],
                auth_provider=Token(self._token, port),
                secret_key=secrets.token_urlsafe(32),
                sign_sessions=True,
                include_headers=[],
                include_cookies=[],
                check_unused_sessions_milliseconds=5000,
                unused_session_lifetime_milliseconds=15000,
            )
        except OSError as error:
            self._reader.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                what = "is in use" if error.errno == errno.EADDRINUSE else "may not be used"
                raise OutputError(
                    f"port {port} of {HOST} {what}; give another one by --port, or --port 0 for a free one"
                ) from None
            raise
        self.port = port

    @property
    def address(self) -> str:
        """Of the page, with the token."""
        return f"http://{HOST}:{self.port}/?token={self._token}"

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Answer until Ctrl-C, or until `stop`; `ready` is called once the server answers."""
        gc.freeze()  # modules stay; to look through them for unused cycles would delay the first page
        self._server.start()
        self._reader.quick.submit(self._warm)
        self._server.io_loop.add_callback(ready)
        try:
            self._server.io_loop.start()
        finally:
            self._reader.close()
            self._server.stop()

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._server.io_loop.add_callback(self._server.io_loop.stop)

    def _open(self, document: Document) -> None:
        Session(document, self._reader, self.port)

    def _warm(self) -> None:
        """Read the first results before a window asks for them."""
        for source in self._reader.sources:
            pane = Pane(source)
            _, chosen, _ = pane.find()
            if chosen is not None:
                self._reader.known(chosen, source, pane.name_of(chosen))


def serve(sources: Sequence[Source], port: int, ready: Callable[[str], None]) -> None:
    """Show results in the browser until Ctrl-C.

    Args:
        sources: folders of results, or reconstructions.
        port: of 127.0.0.1; 0 takes a free one.
        ready: called with the address once the server answers.

    Raises:
        ScanError: a folder or file is not there, or a file holds no image.
        OutputError: the port is in use, or may not be used.
    """
    server = PageServer(sources, port)
    server.run(lambda: ready(server.address))


def _maps(found: Sequence[Known | None]) -> list[Maps | None]:
    return [None if one is None else one.maps for one in found]


def _discard(_: object) -> None:
    """Bokeh lets no callback return anything."""


def _is_single(path: Path) -> bool:
    """Whether a source is one result for as long as the page is open."""
    return path.is_file() or result_paths(path) == [path]


def _campaign_table(path: Path) -> str:
    """The scans of a campaign; empty for other folders."""
    if not (path / LEDGER).is_file():
        return ""
    try:
        entries = entries_of(path)
    except PtychoPINNError as error:
        return text.warning(str(error))
    return text.campaign(entries, MOST_ROWS)


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])
