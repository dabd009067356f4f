"""Names that legacy clients import."""
