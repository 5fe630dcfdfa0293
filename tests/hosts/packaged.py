"""What the packages do to hosts: installation, further agents beside a manager, removal, and the same with RPMs."""

from guest import Guest
from world import PARCELS, World, expect, say, together


def install(world: World) -> None:
    """apt installs what was built. An agent without an identity idles and nothing fails."""
    first = f"{PARCELS}/first"
    together(
        lambda: world.manager.do(f"apt-get install -y {first}/conductor-manager_*.deb {first}/conductor-cli_*.deb", deadline_s=300),
        lambda: world.agent.do(f"apt-get install -y {first}/conductor-agent_*.deb", deadline_s=300),
    )
    world.agent.do("systemctl is-enabled conductor-agent.service")
    state = world.agent.do("systemctl show --property=ActiveState,ConditionResult,Result conductor-agent.service")
    expect("ActiveState=inactive" in state and "ConditionResult=no" in state and "Result=success" in state, state)
    expect(world.agent.do("systemctl --failed --no-legend").strip() == "", "a unit failed on the agent's host")
    say("  " + world.agent.do("conductor-agent --version").strip())
    expect("static" in world.agent.do("conductor-agent --version"), "the agent is not static")
    world.agent.do("man -w conductor-agent 2>/dev/null || test -s /usr/share/man/man8/conductor-agent.8.gz")
    # Whoever looks is told what is missing, and what to do.
    doctor = world.agent.run("conductor-agent doctor")
    expect(doctor.code == 1 and "→" in doctor.stdout, doctor)


def management_worker(world: World) -> None:
    """A further agent runs beside the manager, as an instance of the agents' unit, and is given what is for it."""
    host = world.manager
    host.do(f"apt-get install -y {PARCELS}/second/conductor-agent_*.deb", deadline_s=300)
    settings = "/etc/conductor/agent-management.toml"
    host.write(settings, "slots = 2\n")
    string = world.json("agents", "token", "create", "--label", "role=management", "--uses", "1")["enrolment_string"]
    said = host.run(f"conductor-agent enroll --config {settings} {string}")
    expect(said.code == 0 and "systemctl enable --now conductor-agent@management.service" in said.stderr, said)
    host.do("systemctl enable --now conductor-agent@management.service")
    world.wait_for_agent("manager-management", "active")
    data = "/var/lib/conductor-agent-management"
    expect(host.do(f"stat -c '%a %U' {data}").strip() == "711 conductor-agent", "its data folder is not as the unit wants it")
    key = host.do(f"stat -c '%a %U' {data}/identity/agent.key").strip()
    expect(key == "600 conductor-agent", f"its key is not private: {key}")
    doctor = host.run(f"conductor-agent doctor --config {settings}")
    expect(doctor.code == 0 and "conductor-agent@management.service" in doctor.stdout, doctor)
    ran = world.wait_for_end(world.start("whereami"))
    expect(ran["status"] == "COMPLETED" and ran["output"] == {"user": "conductor-agent", "host": "manager"}, ran)
    # The host's first agent has not joined: it idles, and has nothing of the other's.
    host.do("! systemctl is-active --quiet conductor-agent.service && ! test -e /var/lib/conductor-agent/identity")
    world.conductor("agents", "revoke", "manager-management")
    host.do("apt-get purge -y conductor-agent", deadline_s=300)
    host.do(f"! test -e {data} && ! test -e {settings} && ! pgrep -f '^/usr/bin/conductor-agent'")
    expect(host.do("systemctl --failed --no-legend").strip() == "", "a unit failed on the manager's host")


def remove_and_purge(world: World) -> None:
    """Removing leaves the data, purging takes it away; nothing of it runs any more."""
    together(
        lambda: goes_without_a_trace(
            world.agent, "conductor-agent", "/var/lib/conductor-agent", "/etc/conductor/agent-policy.toml"),
        lambda: goes_without_a_trace(
            world.manager, "conductor-manager", "/var/lib/conductor", "/etc/rabbitmq/conf.d/50-conductor.conf"),
    )


def goes_without_a_trace(guest: Guest, name: str, data: str, beside: str) -> None:
    guest.do(f"test -e {beside} || echo '' > {beside}")
    guest.do(f"apt-get remove -y {name}", deadline_s=300)
    guest.do(f"test -d {data} && test -e /etc/conductor/{name.removeprefix('conductor-')}.toml")
    left = guest.run(f"pgrep -a -f '^/usr/bin/{name}'")
    expect(left.code != 0, f"{name} still runs after it was removed:\n{left.stdout}")
    guest.do(f"apt-get purge -y {name}", deadline_s=300)
    guest.do(f"! test -e {data} && ! test -e /etc/conductor/{name.removeprefix('conductor-')}.toml")
    guest.do(f"! test -e {beside} && ! test -e /etc/rabbitmq/conductor")
    expect(guest.do("systemctl --failed --no-legend").strip() == "", f"a unit failed after {name} was purged")


def rpms(world: World) -> None:
    """The RPMs go in with rpm, their scripts make accounts and folders, the unit starts, and all goes again."""
    guest = world.agent
    # This root is Debian's, whose packages rpm does not know: hence no dependencies.
    guest.do(f"rpm --install --nodeps {PARCELS}/first/conductor-agent-*.rpm", deadline_s=300)
    guest.do("getent passwd conductor-agent && getent group conductor-runner")
    guest.do("test -d /var/lib/conductor-agent && test -d /run/conductor-runner")
    guest.do("rpm --verify --nodeps conductor-agent")
    guest.do("systemctl is-enabled conductor-agent.service")
    guest.do("systemctl start conductor-runner@conductor-agent.service && systemctl is-active conductor-runner@conductor-agent.service")
    guest.do("echo slots = 3 >> /etc/conductor/agent.toml")
    guest.do(f"rpm --upgrade --nodeps {PARCELS}/second/conductor-agent-*.rpm", deadline_s=300)
    expect("slots = 3" in guest.do("cat /etc/conductor/agent.toml"), "the upgrade took a changed setting away")
    guest.do("rpm --erase --nodeps conductor-agent", deadline_s=300)
    guest.do("! test -e /usr/bin/conductor-agent && test -d /var/lib/conductor-agent")
    guest.do(f"rpm --install --nodeps {PARCELS}/first/conductor-cli-*.rpm && conductor --version")


def rpm_of_the_manager(world: World) -> None:
    """The manager's RPM as well: with it a host can be set up, upgraded and left."""
    host = world.manager
    host.do(f"rpm --install --nodeps {PARCELS}/first/conductor-manager-*.rpm", deadline_s=300)
    host.do("getent passwd conductor && test -s /usr/share/conductor/packages/conductor-agent.rpm")
    # Settings may hold passwords: tmpfiles.d closes them to all but the manager's group, which is not there while rpm unpacks.
    verified = host.run("rpm --verify --nodeps conductor-manager").stdout.splitlines()
    expect(verified == [".M....G..  c /etc/conductor/manager.toml"], verified)
    modes = host.do("stat -c '%a %U %G' /var/lib/conductor /etc/conductor/manager.toml /etc/conductor/manager.conf.d").splitlines()
    expect(modes == ["750 conductor conductor", "640 root conductor", "750 root conductor"], modes)
    host.do("systemctl is-enabled conductor-manager.service")
    host.do("conductor-manager setup", deadline_s=600)
    health = "curl -fsS --cacert /etc/conductor/ca.crt https://manager:53333/health"
    host.until("healthy", f"{health} | grep -q '\"healthy\":true'")
    host.do("echo '# a word of the administrator' >> /etc/conductor/manager.toml")
    running = "systemctl show --property=MainPID --value conductor-manager.service"
    old = host.do(running)
    host.do(f"rpm --upgrade --nodeps {PARCELS}/second/conductor-manager-*.rpm", deadline_s=300)
    expect("a word of the administrator" in host.do("cat /etc/conductor/manager.toml"), "the upgrade took a changed setting away")
    host.until("healthy with the new program", f"{health} | grep -q '\"healthy\":true'")
    expect(host.do(running) not in (old, "0"), "the manager that runs is still the old one")
    expect("-2." in host.do("rpm --query conductor-manager"), "rpm does not know of the upgrade")
    host.do("rpm --erase --nodeps conductor-manager", deadline_s=300)
    host.do("! test -e /usr/bin/conductor-manager && test -d /var/lib/conductor && ! pgrep -f '^/usr/bin/conductor-manager'")
    expect(host.do("systemctl --failed --no-legend").strip() == "", "a unit failed after the manager's RPM went")
