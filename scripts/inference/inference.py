"""`ptycho_inference` under the path of legacy PtychoPINN."""

import sys

from ptycho.commands.inference import main

if __name__ == "__main__":
    sys.exit(main())
