"""`ptychopinn view`."""

from pathlib import Path
from typing import Annotated

import typer

from ptychopinn.cli.console import results, say
from ptychopinn.cli.process import return_freed_memory
from ptychopinn.errors import ConfigError

MOST = 4
"""Results beside each other: more are too narrow to compare."""
PORT = 5006


def view(
    outputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="OUT...",
            help="Output folders of run, reconstruct, train, watch or campaign, or reconstructions; two or more are "
            "shown beside each other.",
            show_default=False,
        ),
    ],
    static: Annotated[
        Path | None,
        typer.Option(
            "--static",
            metavar="FILE",
            help="Write the page as one HTML file that needs neither server nor network, and end.",
            show_default=False,
        ),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan", metavar="SCAN", help="Scan file, if the one that the result names has moved.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            metavar="N",
            help=f"Port of 127.0.0.1; 0 for a free one.  [default: {PORT}]",
            show_default=False,
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address only; open no browser.", show_default=False)
    ] = False,
) -> None:
    """Show results in the browser: maps, patterns, misfit, probe, curves, verdict; needs the extra web.

    The page follows results that are still being made, and is for this machine only. Ctrl-C ends it.
    """
    return_freed_memory()
    from ptychopinn.api.references import short_names
    from ptychopinn.web import Source, serve, write_page

    if len(outputs) > MOST:
        raise ConfigError(f"view shows at most {MOST} results beside each other, got {len(outputs)}; name fewer")
    names = short_names([one.resolve() / "reconstruction.npz" if one.is_dir() else one for one in outputs])
    if static is not None:
        for option, is_given in (("--port", port is not None), ("--no-browser", no_browser)):
            if is_given:
                raise ConfigError(f"{option} belongs to the server, but --static writes a file; leave one of them out")
        for sentence in write_page(outputs, static, names, [scan] * len(outputs)):
            results.print(sentence, markup=False, highlight=False, soft_wrap=True)
        results.print(f"page: {static}", markup=False, highlight=False, soft_wrap=True)
        return
    sources = [Source(path, name, scan) for path, name in zip(outputs, names, strict=True)]
    serve(sources, PORT if port is None else port, lambda address: _announce(address, not no_browser))


def _announce(address: str, browser: bool) -> None:
    """Print the address, and open it if wanted and possible."""
    import threading
    import webbrowser

    results.print(f"page: {address}", markup=False, highlight=False, soft_wrap=True)
    say("note", "Keep this address secret: whoever has it can see the results. Press Ctrl-C to stop the server.", "dim")
    if browser:  # in a thread: a browser of the terminal would block the server
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
