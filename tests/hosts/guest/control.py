#!/usr/bin/env python3
"""The guest's end of the wire by which the stories work in it: a connection brings one JSON line, a command, and gets one back.

It listens on the guest's first network alone, which only the machine that booted the guest can reach.
"""

import base64
import json
import socketserver
import subprocess


class Order(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline()
        if not line:
            return
        order = json.loads(line)
        try:
            done = subprocess.run(
                order["command"],
                input=base64.b64decode(order.get("input", "")),
                capture_output=True,
                timeout=order["timeout_s"],
                check=False,
            )
            answer = {"code": done.returncode, "stdout": text(done.stdout), "stderr": text(done.stderr)}
        except subprocess.TimeoutExpired as over:
            answer = {"code": -1, "stdout": text(over.stdout or b""), "stderr": text(over.stderr or b"") + "\nout of time"}
        except OSError as error:
            answer = {"code": 127, "stdout": "", "stderr": str(error)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def text(data: bytes) -> str:
    return data.decode(errors="replace")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("10.0.2.15", 7000), Order) as server:
    server.serve_forever()
