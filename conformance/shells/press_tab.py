"""Types a line and Tab into an interactive shell in a pseudo terminal.

press_tab.py JSON, where the JSON has "shell" (words), "setup" (lines that are run before), "line" (typed, then Tab) and
"wanted" (what the screen has to show then). Prints the screen; the exit code is 0 if it showed that.
"""

import json
import os
import pty
import re
import select
import sys
import time

PATIENCE = 30

case = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="$ ")
    os.execvp(case["shell"][0], case["shell"])


def screen_until(wanted):
    """Everything that is shown until `wanted` is, or the patience ends."""
    shown, end = b"", time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", shown.decode(errors="replace"))
        if wanted in text:
            return text, True
    return text, False


for number, line in enumerate(case["setup"]):
    os.write(terminal, f"{line}; echo done''{number}.\n".encode())
    text, found = screen_until(f"done{number}.")
    if not found:
        sys.exit(f"{line} did not end:\n{text}")
os.write(terminal, case["line"].encode() + b"\t")
text, found = screen_until(case["wanted"])
print(text)
os.close(terminal)
sys.exit(0 if found else 1)
