"""Many scans, each reconstructed once by several processes and machines; see docs/dev/campaign.md."""

from typing import TYPE_CHECKING

from ptychopinn.lazy import loads

if TYPE_CHECKING:
    from ptychopinn.studies.campaign.conduct import Campaign, Watch, campaign
    from ptychopinn.studies.campaign.ledger import Entry

__all__ = ["Campaign", "Entry", "Watch", "campaign"]

_CONDUCT = "ptychopinn.studies.campaign.conduct"
__getattr__ = loads(
    globals(),
    {"Campaign": _CONDUCT, "Watch": _CONDUCT, "campaign": _CONDUCT, "Entry": "ptychopinn.studies.campaign.ledger"},
)
