"""Campaigns on Prefect 3, which runs them on a cluster and shows them in its browser page (extra `flows`).

The same ledger as that of `ptychopinn campaign` says what is done, so that both can work on one folder.
"""

from ptychopinn.errors import MissingExtraError

try:
    import prefect  # noqa: F401
except ImportError:
    raise MissingExtraError(
        "flows need the package prefect, version 3, which is not installed; run: pip install 'ptychopinn[flows]'"
    ) from None

from ptychopinn.flows.campaign import campaign_flow, reconstruct_scan

__all__ = ["campaign_flow", "reconstruct_scan"]
