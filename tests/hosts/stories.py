"""What happens to the two hosts, in this order. Each story looks from outside at what came of it."""

import re
import time

from packaged import install, management_worker, remove_and_purge, rpm_of_the_manager, rpms
from world import PARCELS, World, expect, say, together

# What is shipped may use 8 MiB and 0.1 % of a processor at rest, which `make bench` measures: packages for these stories are
# hardly optimised, and the hosts emulated.
AGENT_RSS_KIB_MAX = 16 * 1024
REST_S = 30
# Less than an agent wants to have free, and enough for the host itself to go on.
LEFT_BYTES = 32 * 1024**2
# Longer than it takes to upgrade both hosts.
LONG_S = 900


def setup(world: World) -> None:
    """One command makes the manager's host ready, with nothing in plain text; a second time it changes nothing."""
    # Emulated hosts are slow; what an administrator sets stays beside what setup writes.
    world.manager.write("/etc/conductor/manager.conf.d/50-lease.toml", "[lease]\ninterval_ms = 2000\nlease_ms = 12000\n")
    said = world.manager.do("conductor-manager setup", deadline_s=600)
    token = re.search(r"\bcdt_[0-9a-f]+", said)
    expect(token is not None, f"setup shows no token:\n{said}")
    world.token = token[0]
    # The line that setup says to use.
    line = re.search(r"export CONDUCTOR_URL=\S+ CONDUCTOR_TOKEN=\S+", said)
    expect(line is not None and line[0].startswith("export CONDUCTOR_URL=https://manager:53333 "), said)
    world.manager.write("/root/conductor.env", f"{line[0]}\n", "0600")
    again = world.manager.do("conductor-manager setup", deadline_s=300)
    expect("nothing was changed" in again and "cdt_" not in again, f"the second setup was no second one:\n{again}")
    health = world.manager.do("curl -fsS --cacert /etc/conductor/ca.crt https://manager:53333/health")
    expect('"healthy":true' in health, health)
    users = world.manager.do("curl -s -o /dev/null -w '%{http_code}' -u guest:guest http://127.0.0.1:15672/api/whoami")
    expect(users == "401", f"guest may still log in to RabbitMQ: {users}")
    listening = world.manager.do("ss -Hltn")
    expect("127.0.0.1:15672" in listening and "*:15672" not in listening, f"the management API is open to the network:\n{listening}")
    expect(":5671 " in listening and ":5672 " not in listening, f"RabbitMQ takes plain text, or no TLS:\n{listening}")
    plain = world.agent.run("curl -sS --max-time 10 http://10.77.0.1:53333/health")
    expect(plain.code != 0, f"the manager answers in plain text: {plain}")
    doctor = world.manager.run("conductor-manager doctor")
    expect(doctor.code == 0, doctor)
    world.conductor("agents")


def join(world: World) -> None:
    """The agent's host joins with the one line that the manager prints, and with no other's."""
    world.agent.write("/etc/conductor/agent.conf.d/50-own.toml", 'id = "edge"\nslots = 4\n')
    world.agent.write("/etc/conductor/facts.d/site.json", '{"name": "north"}')
    made = world.json("agents", "token", "create", "--label", "role=web", "--ttl", "1h", "--uses", "1")
    pin = re.search(r"sha256//\S+", made["installer"])[0]
    strangers = made["installer"].replace(pin, "sha256//" + "A" * 43 + "=")
    refused = world.agent.run(strangers, deadline_s=120)
    expect(not world.agent_is_known("edge"), f"a host joined through a manager that it must not believe: {refused}")
    world.agent.do(made["installer"], deadline_s=300)
    world.wait_for_agent("edge", "active")
    expect("600 conductor-agent" in world.agent.do("stat -c '%a %U' /var/lib/conductor-agent/identity/agent.key"), "the key is not private")
    spent = world.agent.run(f"conductor-agent enroll --again {made['enrolment_string']}")
    expect(spent.code == 22, f"a spent token: {spent}")
    doctor = world.agent.run("conductor-agent doctor")
    expect(doctor.code == 0, doctor)
    world.conductor("plugins", "push", f"{PARCELS}/plugin")
    world.conductor("apply", "-f", f"{PARCELS}/definitions")


def counted_once(world: World, workflow_id: str, mark: str, seconds: int | None) -> None:
    """A counting task that began once and whose every line arrived once, in order; as many as it says, where nobody knows."""
    ended = world.wait_for_end(workflow_id)
    expect(ended["status"] == "COMPLETED", f"{mark}: {ended['status']}: {ended.get('reasonForIncompletion')}")
    seconds = int(ended["output"]["lines"]) if seconds is None else seconds
    expect(world.begins(mark) == 1, f"{mark} began {world.begins(mark)} times")
    lines = world.lines(workflow_id)
    expect(lines == list(range(1, seconds + 1)), f"{mark}: these lines arrived: {lines}")


def work(world: World) -> None:
    """A task runs on the host, as its own user, and its lines and its outcome arrive."""
    run = world.start("count", mark="work", seconds=3)
    counted_once(world, run, "work", 3)


def cordoned(world: World) -> None:
    """A cordoned agent gets no new task; what waits goes to it once it is open again."""
    world.conductor("agents", "cordon", "edge")
    run = world.start("count", mark="cordoned", seconds=1)
    task = world.workflow(run)["tasks"][0]
    expect(task["status"] == "SCHEDULED", f"a task that only a cordoned agent could take is {task['status']}")
    world.conductor("agents", "uncordon", "edge")
    counted_once(world, run, "cordoned", 1)


def restart_in_mid_task(world: World) -> None:
    """The agent restarts while a task runs: the task goes on."""
    run = world.start("count", mark="restart", seconds=20)
    world.wait_for_begin("restart")
    world.agent.do("systemctl restart conductor-agent.service")
    counted_once(world, run, "restart", 20)


def killed_in_mid_task(world: World) -> None:
    """The agent is killed while a task runs: systemd starts it again, the task goes on."""
    run = world.start("count", mark="killed", seconds=20)
    world.wait_for_begin("killed")
    before = world.agent.do("systemctl show --property=MainPID --value conductor-agent.service")
    world.agent.do("systemctl kill --kill-whom=main --signal=KILL conductor-agent.service")
    counted_once(world, run, "killed", 20)
    after = world.agent.do("systemctl show --property=MainPID --value conductor-agent.service")
    expect(before != after, "the agent was not killed")


def upgraded_in_mid_task(world: World) -> None:
    """A higher version is installed on both hosts while a task runs: it goes on, agent and manager are the new ones."""
    before = world.agent.do("conductor-agent --version")
    run = world.start("count", mark="upgraded", seconds=LONG_S)
    world.wait_for_begin("upgraded")
    world.agent.do("echo '# a word of the administrator' >> /etc/conductor/agent.toml")
    managers = "systemctl show --property=MainPID --value conductor-manager.service"
    old = world.manager.do(managers)
    together(
        lambda: world.agent.do(f"apt-get install -y {PARCELS}/second/conductor-agent_*.deb", deadline_s=300),
        lambda: world.manager.do(f"apt-get install -y {PARCELS}/second/conductor-manager_*.deb", deadline_s=300),
    )
    expect(world.manager.do(managers) != old, "the manager that runs is still the old one")
    expect(world.agent.run("pgrep -f '[w]ork.sh count'").code == 0, "the task had ended before both were upgraded")
    world.agent.do("touch /var/tmp/host-story-upgraded-enough")
    counted_once(world, run, "upgraded", None)
    after = world.agent.do("conductor-agent --version")
    expect("-1 " in before and "-2 " in after, f"before: {before}after: {after}")
    running = world.agent.do("readlink /proc/$(systemctl show --property=MainPID --value conductor-agent.service)/exe").strip()
    expect(running == "/usr/bin/conductor-agent", f"the agent that runs is still the old one: {running}")
    # The runner took its program up once the task was over.
    runner = "systemctl show --property=MainPID --value conductor-runner@conductor-agent.service"
    world.agent.until("new as well", f"! readlink /proc/$({runner})/exe | grep -q deleted", deadline_s=60)
    expect("a word of the administrator" in world.agent.do("cat /etc/conductor/agent.toml"), "a changed setting was taken away")
    world.wait_for_agent("edge", "active")


def out_of_memory(world: World) -> None:
    """A task that takes too much memory is ended, told apart from other failures, and hurts nobody else."""
    ended = world.wait_for_end(world.json("run", "hog")["workflowId"])
    task = ended["tasks"][0]
    expect(ended["status"] == "FAILED", ended["status"])
    reason = f"{task.get('reasonForIncompletion')} {task.get('outcome')}"
    expect("memory" in reason.lower(), f"the outcome does not tell of memory: {reason}")
    expect(world.agent_state("edge") == "active", "the agent did not survive a task without memory")
    world.agent.do("systemctl is-active conductor-runner@conductor-agent.service")


def within_limits(world: World) -> None:
    """Processes and processor time are limited too, and nothing outlives its task, whatever session it went to."""
    crowd = world.wait_for_end(world.json("run", "crowd")["workflowId"])
    started = int(crowd["output"]["started"])
    expect(0 < started < 20, f"a task that may have 20 processes started {started} of 40")
    world.agent.until("gone", "! pgrep -f '[s]leep 4711'", deadline_s=30)
    burn = world.wait_for_end(world.json("run", "burn")["workflowId"])
    share = float(burn["output"]["share"])
    expect(0 < share < 0.5, f"a task that may use a quarter of a processor used {share}")


def cut_network(world: World) -> None:
    """The network is cut for longer than a lease while a task runs: the task is given up, and every line arrives afterwards."""
    run = world.start("count", mark="cut", seconds=20)
    world.wait_for_begin("cut")
    world.agent.plug(connected=False)
    world.agent.until("ended without the network", "! pgrep -f '[w]ork.sh count'", deadline_s=120)
    world.agent.plug(connected=True)
    world.wait_for_agent("edge", "active")
    ended = world.wait_for_end(run)
    # Nobody could know whether it goes on, and its definition does not let it run again.
    expect(ended["status"] == "FAILED" and "has not been heard of" in str(ended), f"the cut task: {ended}")
    expect(world.begins("cut") == 1, f"it began {world.begins('cut')} times")
    world.wait("every line of the cut task has arrived", lambda: world.lines(run) == list(range(1, 21)), 60)
    again = world.start("count", mark="after-cut", seconds=2)
    counted_once(world, again, "after-cut", 2)


def power_loss_of_the_agent(world: World) -> None:
    """The agent's host loses its power: tasks are lost, and run again where their definition lets them."""
    once = world.start("count", mark="power-once", seconds=300)
    again = world.start("count_again", mark="power-again", seconds=20)
    world.wait_for_begin("power-once")
    world.wait_for_begin("power-again")
    world.agent.do("sync")
    world.agent.cut_power()
    world.agent.switch_on()
    world.agent.wait_for_boot()
    world.mount(world.agent)
    lost = world.wait_for_end(once)
    expect(lost["status"] == "FAILED", f"the lost task's workflow is {lost['status']}")
    expect("has not been heard of" in str(lost), f"nothing tells why the task failed: {lost}")
    expect(world.wait_for_end(again)["status"] == "COMPLETED", "the task that may run again did not")
    expect(world.begins("power-once") == 1, "a task ran again that must not")


def power_loss_of_the_manager(world: World) -> None:
    """The manager's host, with RabbitMQ, loses its power: the task goes on, and its result is taken once it is back."""
    run = world.start("count", mark="manager-lost", seconds=20)
    world.wait_for_begin("manager-lost")
    world.manager.cut_power()
    world.agent.until("ended without the manager", "! pgrep -f '[w]ork.sh count'", deadline_s=120)
    world.manager.switch_on()
    world.manager.wait_for_boot()
    world.mount(world.manager)
    world.wait_for_agent("edge", "active", deadline_s=300)
    counted_once(world, run, "manager-lost", 20)


def revoke(world: World) -> None:
    """An agent is revoked: REST and AMQP are cut within seconds, and it stays out until it joins anew."""
    identity = "/var/lib/conductor-agent/identity"
    asked = f"curl -s -o /dev/null -w '%{{http_code}}' --cacert {identity}/ca.crt --cert {identity}/agent.crt --key {identity}/agent.key"
    # Of itself an agent may know.
    asked += " https://manager:53333/api/v1/agents/edge"
    status = world.agent.do(asked)
    expect(status == "200", f"REST answers {status} to an agent that is not revoked")
    world.conductor("agents", "revoke", "edge")
    began = time.monotonic()
    queue = "curl -fsS -u $(sed -n 's|^url = \"amqps://\\(.*\\)@.*|\\1|p' /etc/conductor/manager.conf.d/10-setup.toml) http://127.0.0.1:15672/api/connections"
    world.manager.until("its connection is closed", f"! {queue} | grep -q 'agent.edge'", deadline_s=30)
    status = world.agent.do(asked)
    expect(status == "401", f"REST answers {status} to a revoked agent")
    world.figures["revocation cut REST and AMQP within"] = f"{time.monotonic() - began:.0f} s"
    string = world.json("agents", "token", "create", "--label", "role=web")["enrolment_string"]
    world.conductor("agents", "delete", "edge")
    world.agent.do(f"conductor-agent enroll --again {string} && systemctl restart conductor-agent")
    world.wait_for_agent("edge", "active")


def site_deploy(world: World) -> None:
    """Two further agents on the host, one with tasks of another user, and the demo's workflow over the three of them."""
    world.agent.do("useradd --system deploy && systemctl enable --now conductor-runner@deploy.service")
    for name, role, settings in (("second", "web", ""), ("third", "control", '[runner]\nuser = "deploy"\n')):
        string = world.json("agents", "token", "create", "--label", f"role={role}")["enrolment_string"]
        world.agent.write(f"/etc/conductor/agent-{name}.toml", f'id = "{name}"\nslots = 4\n{settings}')
        world.agent.do(f"conductor-agent enroll --config /etc/conductor/agent-{name}.toml {string}")
        world.agent.do(f"systemctl start conductor-agent@{name}.service")
        world.wait_for_agent(name, "active")
    who = world.wait_for_end(world.start("whoami"))
    expect(who["status"] == "COMPLETED" and who["output"]["user"] == "deploy", f"a task for the user deploy: {who}")
    site = f"{PARCELS}/site-deploy"
    resource = "site/default_tenant/site-1.0.0.tar.gz"
    world.conductor("plugins", "push", f"{site}/plugin")
    world.conductor("files", "put", f"{site}/site-1.0.0.tar.gz", resource)
    world.conductor("apply", "-f", f"{site}/definitions")
    sum_ = world.manager.do(f"sha256sum {site}/site-1.0.0.tar.gz").split()[0]
    ended = world.wait_for_end(world.start("site_deploy", archive=resource, sha256=sum_, version="1.0.0"), deadline_s=600)
    expect(ended["status"] == "COMPLETED", f"site_deploy: {ended['status']}: {ended.get('reasonForIncompletion')}")
    output = ended["output"]
    expect(output["host_a"] != output["host_b"], "both sites are on one host")
    for url in (output["url_a"], output["url_b"]):
        expect("<title>" in world.agent.do(f"curl -fsS {url}"), f"{url} serves no page")
    stop = world.wait_for_end(world.start("site_stop", host_a=output["host_a"], host_b=output["host_b"]), deadline_s=600)
    expect(stop["status"] == "COMPLETED", f"site_stop: {stop['status']}")
    world.agent.do("systemctl stop conductor-agent@second.service conductor-agent@third.service")


def disk_full(world: World) -> None:
    """The disk under the agent's data fills up: the agent says so and is given nothing; with room again, what waited runs."""
    data = "/var/lib/conductor-agent"
    free = int(world.agent.do(f"echo $(( $(stat -f -c '%a * %S' {data}) ))"))
    world.agent.do(f"fallocate -l {free - LEFT_BYTES} {data}/filler")
    try:
        world.wait_for_agent("edge", "draining")
        shown = world.conductor("agents", "get", "edge")
        expect("less than 64 MiB are free for" in shown, f"nothing tells why the agent takes nothing:\n{shown}")
        run = world.start("count", mark="disk-full", seconds=2)
        task = world.workflow(run)["tasks"][0]
        why = world.conductor("tasks", "why", task["taskId"])
        expect(task["status"] == "SCHEDULED" and "less than 64 MiB are free for" in why, f"{task}\n{why}")
        expect(world.agent.run("test -e /var/tmp/host-story-disk-full").code != 0, "the task began on a full disk")
    finally:
        world.agent.do(f"rm -f {data}/filler")
    counted_once(world, run, "disk-full", 2)
    world.wait_for_agent("edge", "active")


def figures_at_rest(world: World) -> None:
    """What the installed agent takes when nothing is to be done."""
    guest = world.agent
    units = ("conductor-agent.service", "conductor-runner@conductor-agent.service")
    pids = {unit: guest.do(f"systemctl show --property=MainPID --value {unit}").strip() for unit in units}
    for unit, pid in pids.items():
        expect(pid not in ("", "0"), f"{unit} does not run")
    before = {unit: ticks(guest.do(f"cat /proc/{pid}/stat")) for unit, pid in pids.items()}
    time.sleep(REST_S)
    total = 0
    for unit, pid in pids.items():
        spent = ticks(guest.do(f"cat /proc/{pid}/stat")) - before[unit]
        status = guest.do(f"cat /proc/{pid}/status")
        rss, own = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "RssAnon"))
        percent = spent / 100 / REST_S * 100
        world.figures[f"{unit} at rest"] = f"{rss / 1024:.1f} MiB resident ({own / 1024:.1f} its own), {percent:.2f} % of a (slow) processor"
        expect(rss <= AGENT_RSS_KIB_MAX, f"{unit} takes {rss} KiB at rest, more than {AGENT_RSS_KIB_MAX}")
        total += rss
    world.figures["agent and runner together"] = f"{total / 1024:.1f} MiB resident"


def ticks(stat: str) -> int:
    fields = stat.rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


# The first ones matter most: where time is short, the last are left out.
ALL = [
    install, setup, join, work, cordoned, restart_in_mid_task, killed_in_mid_task, upgraded_in_mid_task, out_of_memory, within_limits,
    power_loss_of_the_agent, cut_network, revoke, power_loss_of_the_manager, disk_full, figures_at_rest, site_deploy, management_worker,
    remove_and_purge, rpms, rpm_of_the_manager,
]
# Without these no other can be played.
FIRST = [install, setup, join]
