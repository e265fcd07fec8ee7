"""`python -m jaxcolor`."""

import sys

from jaxcolor.cli.main import main

sys.exit(main())
