"""One module per verb; `ptychopinn` re-exports the verbs.

Nothing is imported here, so that `ptychopinn.api.simulate` does not load what only `train` needs.
"""
