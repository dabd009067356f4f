"""Names that clients of the earlier system import."""
