"""`python -m weights_port`."""

import sys

from weights_port.cli import main

if __name__ == "__main__":
    sys.exit(main())
