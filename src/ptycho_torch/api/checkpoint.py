"""The one file of a trained model."""

from ptychopinn.api.client_checkpoint import Checkpoint as Checkpoint
from ptychopinn.api.client_checkpoint import read_checkpoint as read_checkpoint
from ptychopinn.api.client_checkpoint import write_checkpoint as write_checkpoint
