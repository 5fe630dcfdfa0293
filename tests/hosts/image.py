"""The root of every guest: a small Debian with RabbitMQ, made once and kept outside the repository.

Its folder is named by a digest of its recipe, which is this file and everything in `guest/`; another recipe makes another root.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"
# What a host has before Conductor comes: init, what the packages depend on, and what the stories look with.
PACKAGES = [
    "systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "ca-certificates", "procps",
    "linux-image-cloud-amd64", "initramfs-tools", "zstd",
    "rabbitmq-server", "python3-minimal", "python3", "openssl", "rpm", "curl",
]
# Modules that the root disk and the network need; everything else is left out of the initramfs, which is unpacked in seconds.
INITRAMFS_MODULES = "virtio_pci\nvirtio_blk\nvirtio_net\next4\n"
# What an idle Debian does by itself, and would only make the stories slower here.
MASKED = [
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "e2scrub_reap.service", "systemd-timesyncd.service", "getty@tty1.service", "serial-getty@ttyS0.service",
    "systemd-networkd-wait-online.service",
]
DISK_BYTES = 3 * 1024**3


class Image:
    """A made root: the disk that overlays are laid over, and what boots it."""

    def __init__(self, folder: Path):
        self.disk = folder / "disk.img"
        self.kernel = folder / "vmlinuz"
        self.initramfs = folder / "initrd.img"


def cached() -> Image:
    """The image of the present recipe, made where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conductor" / "hosts"
    folder = cache / digest()
    if not (folder / "complete").exists():
        print(f"making the guests' root in {folder} (once; some minutes)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        (folder / "complete").touch()
        # Roots of older recipes are of no use any more.
        for other in cache.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return Image(folder)


def digest() -> str:
    recipe = hashlib.sha256()
    for file in [Path(__file__), *sorted((HERE / "guest").iterdir())]:
        if file.is_file():
            recipe.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return recipe.hexdigest()[:16]


def mirror() -> str:
    """Where this machine gets its own Debian packages from."""
    apt = Path("/etc/apt")
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        text = file.read_text() if file.is_file() else ""
        deb822 = re.search(r"^URIs:\s*(\S+/debian)/?\s*$", text, re.M)
        one_line = re.search(r"^deb\s+(?:\[.*?\]\s+)?(\S+/debian)/?\s", text, re.M)
        for found in (deb822, one_line):
            if found:
                return found.group(1)
    raise SystemExit("this machine's apt names no Debian mirror to make the guests' root from")


def make(folder: Path) -> None:
    root = folder / "root"
    log = (folder / "make.log").open("wb")

    def run(*words: str, **more: object) -> None:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False, **more)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words[:3])} … failed; {folder / 'make.log'} has all it said")

    run("debootstrap", "--variant=minbase", SUITE, str(root), mirror())
    write(root / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    write(root / "etc/apt/apt.conf.d/90hosts", 'APT::Install-Recommends "false";\n')
    write(root / "etc/initramfs-tools/conf.d/hosts", "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n")
    write(root / "etc/initramfs-tools/modules", INITRAMFS_MODULES)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    run("chroot", str(root), "apt-get", "-y", "install", *PACKAGES, env=environment)
    run("chroot", str(root), "apt-get", "clean", env=environment)
    (root / "usr/sbin/policy-rc.d").unlink()
    for name in ("control.py", "start.sh"):
        write(root / "usr/local/lib/hosts" / name, (HERE / "guest" / name).read_text(), 0o755)
    for name in ("hosts-start.service", "hosts-control.service"):
        write(root / "etc/systemd/system" / name, (HERE / "guest" / name).read_text())
    # Erlang's threads look for work for a while before they sleep, which costs the emulated processor dearly.
    write(root / "etc/rabbitmq/rabbitmq-env.conf", 'SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none"\n')
    write(root / "etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n")
    write(root / "etc/hosts", "127.0.0.1 localhost\n10.77.0.1 manager\n10.77.0.2 agent\n")
    run("chroot", str(root), "systemctl", "enable", "hosts-start.service", "hosts-control.service", env=environment)
    run("chroot", str(root), "systemctl", "mask", *MASKED, env=environment)
    # Each guest decides for itself whether it is a broker's host.
    run("chroot", str(root), "systemctl", "disable", "rabbitmq-server.service", env=environment)
    # Every guest finds out its own machine id at its first boot.
    write(root / "etc/machine-id", "")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    shutil.copy(next((root / "boot").glob("initrd.img-*")), folder / "initrd.img")
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", str(root), str(disk))
    shutil.rmtree(root)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
