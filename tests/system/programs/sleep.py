# SPDX-License-Identifier: MIT
import time

print("asleep", flush=True)
time.sleep(1000)
