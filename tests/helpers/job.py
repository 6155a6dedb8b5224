"""`python SCRIPT` of a Snakemake that server.py has started: the script runs as a fork there, with these streams."""

import json
import os
import socket
import sys

address, *arguments = sys.argv[1:]
if arguments[0].startswith("-"):  # another Snakemake
    os.execv(sys.executable, [sys.executable, *arguments])
with socket.socket(socket.AF_UNIX) as jobs:
    jobs.connect(address)
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    socket.send_fds(jobs, [json.dumps(request).encode()], [0, 1, 2])
    code = int(jobs.recv(16))
sys.exit(code if code >= 0 else 128 - code)
