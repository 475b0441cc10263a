"""Run by tests/support.py in a forked process: become the `shelfops` command that it was told to be."""

import os
import sys
from typing import Any

told: dict[str, Any] = globals()["told"]
os.chdir(told["directory"])
os.environ.clear()
os.environ |= told["environment"]
for number, file in enumerate(told["streams"], start=1):
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
sys.argv = ["shelfops", *told["arguments"]]

from shelfops_pipeline.cli import main  # noqa: E402, the environment speaks first

main()
