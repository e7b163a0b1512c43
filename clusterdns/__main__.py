"""`python -m clusterdns`: the same as the command `clusterdns`."""

import sys

from clusterdns.cli import main

sys.exit(main())
