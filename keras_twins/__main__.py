"""`python -m keras_twins` is the command `keras-twins`."""

import sys

from keras_twins.cli import main

if __name__ == "__main__":
    sys.exit(main())
