"""The grid-lines study: drawn lines scanned on square grids, networks trained on them, their images scored."""
