"""Arrays and dictionaries that remember the scan that they were made of; see `ptychopinn.data.annotated`."""

from ptychopinn.data.annotated import AnnotatedArray as AnnotatedArray
from ptychopinn.data.annotated import GroupedData as GroupedData
from ptychopinn.data.annotated import Results as Results
from ptychopinn.data.annotated import Table as Table
from ptychopinn.data.annotated import annotated as annotated
from ptychopinn.data.annotated import annotation_of as annotation_of
