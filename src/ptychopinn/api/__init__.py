"""One module per command; `ptychopinn` re-exports the commands.

Nothing is imported here, so that `ptychopinn.api.simulate` does not load what only `train` needs.
"""
