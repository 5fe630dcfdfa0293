"""Guests: machines of their own, with an init, a kernel and a disk, whose power can be cut."""

import base64
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

from image import Image

BOOT_DEADLINE_S = 600
OFF_DEADLINE_S = 120
COMMAND_DEADLINE_S = 120
# A guest is some ten times slower than the machine it runs on.
POLL_S = 0.5


class Failed(Exception):
    """What a story expected did not happen."""


class Done:
    """What came of a command in a guest."""

    def __init__(self, answer: dict):
        self.code: int = answer["code"]
        self.stdout: str = answer["stdout"]
        self.stderr: str = answer["stderr"]

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.stdout}{self.stderr}"


class Guest:
    """One guest. Its disk is an overlay in `folder` that survives the loss of its power."""

    def __init__(self, name: str, address: str, wire: tuple[int, int], folder: Path, image: Image, parcels: Path, memory_mib: int):
        self.name = name
        self.address = address
        self.folder = folder
        self.image = image
        self.parcels = parcels
        self.memory_mib = memory_mib
        # Its end of the wire that joins the guests, and the other: ports of UDP, so that either may come and go.
        self.wire = wire
        self.control_port = free_port()
        self.process: subprocess.Popen | None = None
        self.overlay = folder / f"{name}.qcow2"
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk), str(self.overlay)]
        subprocess.run(create, check=True)

    # Power

    def switch_on(self) -> None:
        """Boots."""
        number = self.address.rsplit(".", 1)[1]
        monitor = self.folder / f"{self.name}.monitor"
        monitor.unlink(missing_ok=True)
        words = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(self.memory_mib),
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initramfs),
            "-append", f"root=/dev/vda rw console=ttyS0 panic=-1 quiet loglevel=3 mitigations=off "
                       f"hosts.name={self.name} hosts.address={self.address}",
            "-drive", f"file={self.overlay},format=qcow2,if=virtio,cache=writeback",
            "-drive", f"file={self.parcels},format=raw,if=virtio,readonly=on",
            "-netdev", f"user,id=control,restrict=on,hostfwd=tcp:127.0.0.1:{self.control_port}-:7000",
            "-device", "virtio-net-pci,netdev=control,addr=0x10",
            "-netdev", f"socket,id=wire,localaddr=127.0.0.1:{self.wire[0]},udp=127.0.0.1:{self.wire[1]}",
            "-device", f"virtio-net-pci,netdev=wire,addr=0x11,mac=52:54:00:4d:00:{int(number):02x}",
            "-device", "virtio-rng-pci",
            "-monitor", f"unix:{monitor},server=on,wait=off",
            "-serial", f"file:{self.folder / self.name}.console",
            "-display", "none", "-no-reboot", "-nodefaults",
        ]
        log = (self.folder / f"{self.name}.qemu.log").open("ab")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_for_boot(self) -> float:
        """Until commands can be run; how long that took since this was asked, in s."""
        began = time.monotonic()
        while True:
            if self.process is None or self.process.poll() is not None:
                raise Failed(f"{self.name} went off while booting; see {self.folder}/{self.name}.console and .qemu.log")
            try:
                self.run("true", deadline_s=10)
                return time.monotonic() - began
            except (OSError, ValueError):
                pass
            if time.monotonic() - began > BOOT_DEADLINE_S:
                raise Failed(f"{self.name} did not boot within {BOOT_DEADLINE_S} s; see {self.folder}/{self.name}.console")
            time.sleep(POLL_S)

    def cut_power(self) -> None:
        """Off, at once: what the guest had not written is gone."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def plug(self, *, connected: bool) -> None:
        """Pulls the cable to the other guests, or puts it back."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(10)
            monitor.connect(str(self.folder / f"{self.name}.monitor"))
            monitor.sendall(f"set_link wire {'on' if connected else 'off'}\n".encode())
            said = b""
            # The prompt, the echo, the prompt again.
            while said.count(b"(qemu)") < 2:
                said += monitor.recv(4096)

    # Work

    def run(self, command: str, *, stdin: bytes = b"", deadline_s: int = COMMAND_DEADLINE_S) -> Done:
        """Runs a line of shell as root, whatever comes of it."""
        order = {"command": ["/bin/sh", "-c", command], "timeout_s": deadline_s, "input": base64.b64encode(stdin).decode()}
        with socket.create_connection(("127.0.0.1", self.control_port), timeout=5) as connection:
            connection.settimeout(deadline_s + 30)
            connection.sendall(json.dumps(order).encode() + b"\n")
            answer = connection.makefile("rb").readline()
        return Done(json.loads(answer))

    def do(self, command: str, **more: object) -> str:
        """Runs a line of shell as root that must succeed; its standard output."""
        done = self.run(command, **more)
        if done.code != 0:
            raise Failed(f"{self.name}: {command}\n{done}")
        return done.stdout

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        where = shlex.quote(path)
        self.do(f"mkdir -p $(dirname {where}) && cat > {where} && chmod {mode} {where}", stdin=text.encode())

    def until(self, what: str, command: str, *, deadline_s: int = COMMAND_DEADLINE_S) -> str:
        """Runs a line of shell again and again until it succeeds; its standard output."""
        began = time.monotonic()
        while True:
            done = self.run(command, deadline_s=max(deadline_s, 10))
            if done.code == 0:
                return done.stdout
            if time.monotonic() - began > deadline_s:
                raise Failed(f"{self.name}: not {what} within {deadline_s} s: {command}\n{done}")
            time.sleep(POLL_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_parcels(folder: Path, disk: Path) -> None:
    """A disk that brings `folder` to the guests."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    with disk.open("wb") as file:
        file.truncate(size + size // 4 + 16 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(folder), str(disk)], check=True, env={**os.environ, "LC_ALL": "C"})
