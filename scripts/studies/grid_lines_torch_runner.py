"""The runner of the grid-lines study under the path of legacy PtychoPINN."""

import sys

from ptychopinn.cli.grid_lines_runner import main
from ptychopinn.studies.grid_lines.artifacts import render_grid_lines_visuals, save_recon_artifact

__all__ = ["main", "render_grid_lines_visuals", "save_recon_artifact"]

if __name__ == "__main__":
    sys.exit(main())
