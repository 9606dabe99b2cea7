"""Executes itself while another thread runs."""
import os
import sys
import threading
import time

if len(sys.argv) > 1:
    print("second", threading.active_count())
    sys.exit(7)
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
try:
    os.execv("/nonexistent", ["x"])
except FileNotFoundError as e:
    print(e, flush=True)
os.execv(sys.executable, [sys.executable, __file__, "again"])
