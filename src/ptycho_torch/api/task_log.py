"""What the core says, under the names that a client's task log shows."""

from ptychopinn.api.client_log import CLIENT as CLIENT
from ptychopinn.api.client_log import client_log as client_log
