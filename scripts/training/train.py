"""`ptycho_train` under the path of legacy PtychoPINN."""

import sys

from ptycho.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
