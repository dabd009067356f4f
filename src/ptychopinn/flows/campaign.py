"""`campaign` as a flow of Prefect: one task for each scan."""

import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow, task, unmapped
from prefect.futures import wait
from prefect.task_runners import ProcessPoolTaskRunner

from ptychopinn.errors import ScanError, shown
from ptychopinn.reconstruction import ProbeChoice
from ptychopinn.studies.campaign.conduct import LOOK_S, prepared
from ptychopinn.studies.campaign.ledger import Entry, Ledger
from ptychopinn.studies.campaign.report import write_report
from ptychopinn.studies.campaign.settings import Settings
from ptychopinn.studies.campaign.worker import Heartbeat, reconstruct_claimed


@task(task_run_name="{scan}")
def reconstruct_scan(scan: str, output: str, settings: dict[str, Any]) -> str:
    """Reconstruct one scan of a campaign, unless that was done before; another worker of it is waited for.

    Args:
        scan: path of a scan that is in the ledger of the campaign.
        output: folder of the campaign.
        settings: `ptychopinn.studies.campaign.settings.Settings` as plain values.

    Returns:
        The name of the folder with the results.

    Raises:
        ScanError: it cannot be reconstructed; the ledger holds the same error.
    """
    folder = Path(output)
    with Ledger(folder) as ledger:
        ledger.want([scan])
        while True:
            claim = ledger.claim()
            if claim is not None:
                reconstruct_claimed(ledger, claim, Settings.from_tree(settings), Heartbeat(folder))
            (entry,) = ledger.entries(wanted=True)
            if entry.state == "done":
                return entry.name
            if entry.state == "failed":
                raise ScanError(entry.error)
            ledger.take_over()
            time.sleep(LOOK_S)


@flow(name="ptychopinn-campaign", task_runner=ProcessPoolTaskRunner(max_workers=1))
def campaign_flow(
    scans: str | list[str],
    output: str,
    recipe: str | dict[str, Any] | None = None,
    *,
    overrides: list[str] | None = None,
    model: str | None = None,
    refine: int | None = None,
    train: bool = False,
    probe: ProbeChoice = "auto",
    probe_file: str | None = None,
    device: str = "auto",
    retry_failed: bool = False,
) -> dict[str, str]:
    """Reconstruct many scans, each once; call it again, or give it `retries`, to go on after a kill.

    The arguments are those of `ptychopinn.studies.campaign.campaign`. Where and how many scans run at a time is decided
    by the task runner: `campaign_flow.with_options(task_runner=...)`. The default runs one after the other in a process
    of its own. A runner must not use threads of one process, whose logs would mix.

    Returns:
        `table`, and `sheet` with the contact sheet.

    Raises:
        ScanError: a scan failed, or the process that worked on it was killed; table and contact sheet are written.
        PtychoPINNError: as `campaign`; nothing has been reconstructed then.
    """
    settings = Settings.of(
        recipe,
        overrides or [],
        model=model,
        refine=refine,
        train=train,
        probe=probe,
        probe_file=probe_file,
        device=device,
    )
    settings.check()
    folder = Path(output).resolve()
    with prepared(scans, folder, settings, retry_failed=retry_failed) as start:
        open_ones = [str(one.path) for one in start.ledger.entries(wanted=True) if one.state in ("waiting", "running")]
        if open_ones:
            try:
                wait(reconstruct_scan.map(open_ones, unmapped(str(folder)), unmapped(asdict(settings))))
            except BrokenProcessPool:  # a process was killed, which ends the others of its pool
                start.ledger.take_over()
        paths = write_report(folder, start.ledger.entries())
        _check_complete(start.ledger.entries(wanted=True))
    return {name: str(path) for name, path in paths.items()}


def _check_complete(entries: list[Entry]) -> None:
    """Let the flow fail where a scan has no image.

    Raises:
        ScanError: so it is.
    """
    missing = [one for one in entries if one.state != "done"]
    if missing:
        reason = missing[0].error or "its process was killed; run the flow again"
        raise ScanError(
            f"{len(missing)} of {len(entries)} scans have no image, first {missing[0].name}: {shown(reason)}; the "
            "table lists all"
        )
