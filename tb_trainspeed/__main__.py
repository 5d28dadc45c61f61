"""`python -m tb_trainspeed` is the command `trainspeed`."""

import sys

from tb_trainspeed.cli import main

sys.exit(main())
