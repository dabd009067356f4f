"""The one file of a trained model, and where a run left it."""

from ptychopinn.api.client_checkpoint import MODEL_NAME as MODEL_NAME
from ptychopinn.api.client_checkpoint import Checkpoint as Checkpoint
from ptychopinn.api.client_checkpoint import find_best_checkpoint as find_best_checkpoint
from ptychopinn.api.client_checkpoint import read_checkpoint as read_checkpoint
from ptychopinn.api.client_checkpoint import write_checkpoint as write_checkpoint
