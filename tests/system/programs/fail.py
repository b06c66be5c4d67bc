# SPDX-License-Identifier: MIT
import sys

print("on stdout")
print("on stderr", file=sys.stderr)
sys.exit(7)
