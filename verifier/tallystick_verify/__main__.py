"""`python -m tallystick_verify`."""

from __future__ import annotations

import sys

from tallystick_verify.cli import main

sys.exit(main())
