"""Scans: reading, checking, grouping. The torch side, `ptychopinn.data.dataset`, is not loaded here."""

from ptychopinn.data.cache import cached_groups
from ptychopinn.data.grouping import Groups, legacy_groups, make_groups
from ptychopinn.data.io import check_output_folder, read_scan, write_scan
from ptychopinn.data.scan import Domain, Scan, check_sizes, checked_scan
from ptychopinn.data.split import inside_bounds, split_by_place, subsample

__all__ = [
    "Domain",
    "Groups",
    "Scan",
    "cached_groups",
    "check_output_folder",
    "check_sizes",
    "checked_scan",
    "inside_bounds",
    "legacy_groups",
    "make_groups",
    "read_scan",
    "split_by_place",
    "subsample",
    "write_scan",
]
