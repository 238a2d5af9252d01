# SPDX-License-Identifier: Apache-2.0
"""Runs the command line as `python -m alarmd`."""

from alarmd.cli.main import main

if __name__ == "__main__":
    main()
