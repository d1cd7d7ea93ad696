"""``gcloud compute start-iap-tunnel`` as it was observed: the same lines, and a relay to a port of this
machine.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

NAME = "ERROR: (gcloud.compute.start-iap-tunnel)"
FAILURES = {
    "port busy": f"{NAME} Local port [{{port}}] is not available.",
    "no backend": (
        f"{NAME} While checking if a connection can be made: Error while connecting "
        "[4003: 'failed to connect to backend']. (Failed to connect to port 8188)"
    ),
    "no such VM": (
        f"{NAME} Could not fetch resource:\n - The resource 'projects/p/zones/z/instances/gpu-1' was not"
        " found"
    ),
    "no login": (
        f"{NAME} You do not currently have an active account selected.\nPlease run:\n\n  $ gcloud auth"
        " login\n"
    ),
    "no project": (
        f"{NAME} The required property [project] is not currently set.\nIt can be set on a per-command basis"
        " by re-running your command with the [--project] flag.\n"
    ),
    "no zone": f"{NAME} Underspecified resource [gpu-1]. Specify the [--zone] flag.",
    "forbidden": f"{NAME} Error while connecting [Handshake status 403 Forbidden].",
    "strange": "Segmentation fault",
}


def say(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def next_mode(folder: Path) -> str:
    """How this call is to go; several calls may ask at once."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        plan = json.loads((folder / "plan.json").read_text())
        mode: str = plan["modes"].pop(0) if plan["modes"] else "open"
        (folder / "plan.new").write_text(json.dumps(plan))
        (folder / "plan.new").replace(
            folder / "plan.json"
        )  # whoever reads it meanwhile gets the old one or the new one
    return mode


def main(folder: Path, arguments: list[str]) -> int:
    with (folder / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"arguments": arguments, "pid": os.getpid()}) + "\n")
    mode = next_mode(folder)
    (port,) = [
        int(word.rpartition(":")[2]) for word in arguments if word.startswith("--local-host-port=localhost:")
    ]
    say(sys.stderr, "WARNING: \n\nTo increase the performance of the tunnel, consider installing NumPy.")
    if mode in FAILURES:
        say(sys.stderr, FAILURES[mode].format(port=port))
        return 1

    def end(number: int, frame: object) -> None:
        with (folder / "ends.txt").open("a") as file:
            file.write(signal.Signals(number).name + "\n")
        say(sys.stderr, "Server shutdown complete.")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN if mode == "stubborn" else end)
    say(sys.stderr, "Testing if tunnel connection works.")
    with socket.create_server(("127.0.0.1", port)) as server:
        if mode == "slow":
            time.sleep(0.5)  # who asks the port before the line is printed gets no answer
        say(sys.stdout, f"Listening on port [{port}].")
        while True:
            front, _ = server.accept()
            try:
                back = socket.create_connection(
                    ("127.0.0.1", json.loads((folder / "plan.json").read_text())["target"])
                )
            except OSError:
                say(sys.stderr, "ERROR: Error while connecting [4003: 'failed to connect to backend'].")
                front.close()
                continue
            for source, target in ((front, back), (back, front)):
                threading.Thread(target=relay, args=(source, target), daemon=True).start()


def relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for each in (source, target):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
