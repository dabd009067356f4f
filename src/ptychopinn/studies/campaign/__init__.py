"""Many scans, each reconstructed once by several processes and machines; see docs/dev/campaign.md."""

from ptychopinn.studies.campaign.conduct import Campaign, Watch, campaign
from ptychopinn.studies.campaign.ledger import Entry

__all__ = ["Campaign", "Entry", "Watch", "campaign"]
