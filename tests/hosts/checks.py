"""What can be said of the packages without a host: their lint, their sums, what is in them, how hard the units are."""

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from guest import Failed
from world import expect, say

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# Least exposure that each unit's job allows, as systemd counts it from 0 to 10.
EXPOSURE_MAX = {"conductor-agent.service": 2.0, "conductor-agent@.service": 2.0, "conductor-manager.service": 2.0}
IN_THE_AGENTS = [
    "usr/bin/conductor-agent", "usr/lib/systemd/system/conductor-agent.service", "usr/lib/systemd/system/conductor-agent@.service",
    "usr/lib/systemd/system/conductor-runner@.service", "usr/lib/sysusers.d/conductor-agent.conf",
    "usr/share/man/man8/conductor-agent.8.gz", "etc/conductor/agent.toml",
    "usr/share/bash-completion/completions/conductor-agent", "usr/share/doc/conductor-agent/sbom.cdx.json",
]


# Each unit as an operator starts it.
UNITS = ["conductor-agent.service", "conductor-agent@management.service", "conductor-runner@conductor-agent.service", "conductor-manager.service"]


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def all_checks(packages: Path) -> None:
    sums_are_right(packages)
    agents_files_are_there(packages)
    units_are_well_formed(packages)
    units_are_hard()
    lint_is_clean(packages)


def sums_are_right(packages: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packages, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, done.stdout + done.stderr)
    expect(len(done.stdout.splitlines()) == 9, f"nine packages were expected:\n{done.stdout}")


def agents_files_are_there(packages: Path) -> None:
    deb = run("dpkg-deb", "--contents", str(next(packages.glob("conductor-agent_*.deb"))))
    rpm = run("rpm", "--query", "--list", "--package", str(next(packages.glob("conductor-agent-*.rpm"))))
    with tarfile.open(next(packages.glob("conductor-agent-*.tar.gz"))) as archive:
        tar = "\n".join(archive.getnames())
    for name in IN_THE_AGENTS:
        for kind, listing in (("deb", deb), ("rpm", rpm), ("tar.gz", tar)):
            expect(f"/{name}" in listing, f"{name} is not in the {kind}:\n{listing}")


def units_are_well_formed(packages: Path) -> None:
    """systemd understands every line of the units as they are packed, and finds the programs that they start."""
    with tempfile.TemporaryDirectory() as root:
        for name in ("agent", "manager"):
            run("dpkg-deb", "--extract", str(next(packages.glob(f"conductor-{name}_*.deb"))), root)
        # What sends a runner its signal is the host's.
        (Path(root) / "bin").mkdir()
        shutil.copy("/bin/kill", Path(root) / "bin/kill")
        for unit in UNITS:
            said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", unit)
            expect(said == "", f"systemd finds fault with {unit}:\n{said}")


def units_are_hard() -> None:
    for unit, most in EXPOSURE_MAX.items():
        said = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(REPOSITORY / "systemd" / unit))
        found = re.search(r"Overall exposure level for .*?: ([0-9.]+)", said)
        if not found:
            raise Failed(f"systemd-analyze does not tell the exposure of {unit}:\n{said}")
        say(f"  exposure of {unit}: {found[1]}")
        expect(float(found[1]) <= most, f"{unit} has an exposure of {found[1]}, more than {most}:\n{said}")


def lint_is_clean(packages: Path) -> None:
    for package in sorted(packages.glob("*.deb")):
        said = run("lintian", "--fail-on=none", "--no-tag-display-limit", "--tag-display-limit=0", str(package))
        report(package, re.findall(r"^E: .*$", said, re.M), re.findall(r"^W: .*$", said, re.M))
    for package in sorted(packages.glob("*.rpm")):
        said = run("rpmlint", "--config", str(REPOSITORY / "packaging" / "rpmlint.toml"), str(package))
        report(package, re.findall(r"^.*: E: .*$", said, re.M), re.findall(r"^.*: W: .*$", said, re.M))


def report(package: Path, errors: list[str], warnings: list[str]) -> None:
    for line in warnings:
        say(f"  {line}")
    expect(not errors, f"{package.name}:\n" + "\n".join(errors))
    expect(len(warnings) <= 5, f"{package.name} has {len(warnings)} warnings, more than five")
