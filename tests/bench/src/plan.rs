//! What is measured in which order, and what each figure is to reach.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::args::{Args, Half};
use crate::definitions::{self, FORK_SIZES, Step};
use crate::error::BenchError;
use crate::measure::{self, Latency, Shape, Throughput};
use crate::report::Report;
use crate::report::Target::{AtLeast, AtMost, None as Shown};
use crate::stack::{AGENTS, Part, Stack};
use crate::stats::percentile;
use crate::{limits, plan_workers, plugin};

/// How long the stack is left alone before its memory is read.
const REST: Duration = Duration::from_secs(10);

/// One-shot: at least this part of what process and messages cost on this machine.
const ONE_SHOT_RATIO: f64 = 0.6;
/// One-shot: never less than this where the machine starts [`SPAWNS_PER_S`] processes.
const ONE_SHOT_PER_S: f64 = 500.0;
const SPAWNS_PER_S: f64 = 1_500.0;
const PERSISTENT_PER_S: f64 = 3_000.0;
/// A task in the largest workflow against one in a workflow of 100.
const FORK_GROWTH: f64 = 1.3;
/// How fast a task may print.
const LOG_MB_PER_S: f64 = 50.0;
const AGENT_BYTES: f64 = 8e6;
/// Part of a processor that an idle agent may take.
const AGENT_CPU_PERCENT: f64 = 0.1;
/// How long idle agents are watched. Time is counted in ticks of 10 ms.
const IDLE: Duration = Duration::from_secs(40);

/// Takes all figures. `dir` is empty and goes away afterwards.
///
/// # Errors
/// When something cannot be measured.
pub async fn measure(args: &Args, dir: &Path, report: &mut Report) -> Result<(), BenchError> {
    if args.only != Some(Half::Workers) {
        agents(args, dir, report).await?;
    }
    if args.only != Some(Half::Agents) {
        plan_workers::measure(args, &dir.join("workers"), report).await?;
    }
    Ok(())
}

/// The first half: sizes, the machine's limits, and what agents do.
async fn agents(args: &Args, dir: &Path, report: &mut Report) -> Result<(), BenchError> {
    eprintln!("sizes and start");
    sizes(args, dir, report).await?;
    eprintln!("limits of this machine");
    report.add("limit_spawn_per_s", "limit: processes", "1/s", limits::spawns_per_s(&args.noop)?, Shown);
    report.add("limit_store_decisions_per_s", "limit: SQLite decisions", "1/s", limits::decisions_per_s(dir)?, Shown);
    eprintln!("a stack with {AGENTS} agents of {} slots", args.slots);
    let mut stack = Stack::start(args, dir, AGENTS).await?;
    let result = on_stack(args, dir, &mut stack, report).await;
    // A stack that ended explains more than a request that failed.
    stack.check().and(result)
}

async fn sizes(args: &Args, dir: &Path, report: &mut Report) -> Result<(), BenchError> {
    let agent = measure::file_bytes(&args.agent)?;
    report.add("agent_binary_bytes", "agent on disk", "B", agent, AtMost(AGENT_BYTES));
    report.add("manager_binary_bytes", "manager on disk", "B", measure::file_bytes(&args.manager)?, Shown);
    let start = measure::manager_start(&args.manager, dir).await?;
    report.add("manager_start_ms", "manager: start to first answer", "ms", start.ms, AtMost(1_000.0));
    report.add("manager_rss_kb", "manager: memory at rest", "KiB", start.rss_kb, AtMost(60.0 * 1024.0));
    Ok(())
}

async fn on_stack(args: &Args, dir: &Path, stack: &mut Stack, report: &mut Report) -> Result<(), BenchError> {
    prepare(args, dir, stack).await?;
    tokio::time::sleep(REST).await;
    let [agent, runner] = measure::agents_rss_kb(stack);
    report.add("agent_rss_kb", "agent: memory at rest, connected", "KiB", agent, AtMost(8.0 * 1024.0));
    report.add("runner_rss_kb", "agent's runner: memory at rest", "KiB", runner, Shown);
    let before_us = stack.cpu_us(Part::Agent);
    tokio::time::sleep(IDLE).await;
    let spent_us = (stack.cpu_us(Part::Agent) - before_us) / f64::from(AGENTS);
    let percent = spent_us / IDLE.as_secs_f64() / 1e6 * 100.0;
    report.add("agent_cpu_percent", "agent and its runner: processor at rest", "%", percent, AtMost(AGENT_CPU_PERCENT));
    let publishes = limits::publishes_per_s(&stack.ready.amqp).await?;
    report.add("limit_confirmed_publish_per_s", "limit: confirmed publishes", "1/s", publishes, Shown);
    one_shot(stack, report).await?;
    persistent(stack, report).await?;
    eprintln!("latency");
    latency(report, &measure::at_rest(&stack.client).await?, &REST_KEYS);
    let half = report.value("oneshot_single_tasks_per_s") / 2.0;
    report.add("half_load_tasks_per_s", "half load: workflows of one task", "1/s", half, Shown);
    latency(report, &measure::under_load(&stack.client, half).await?, &HALF_LOAD_KEYS);
    forks(stack, report).await?;
    // Last, for what a flood leaves to be stored would disturb whatever came after it.
    logs(stack, report).await?;
    report.add(
        "manager_rss_loaded_kb",
        "manager: memory after all this",
        "KiB",
        measure::part_rss_kb(stack, Part::Manager),
        Shown,
    );
    let [agent, runner] = measure::agents_rss_kb(stack);
    report.add("agent_rss_loaded_kb", "agent: memory after all this", "KiB", agent, Shown);
    report.add("runner_rss_loaded_kb", "agent's runner: memory after all this", "KiB", runner, Shown);
    report.add("broker_rss_kb", "RabbitMQ: memory", "KiB", measure::part_rss_kb(stack, Part::Broker), Shown);
    Ok(())
}

/// Plugins and definitions. Agents fetch a plugin for its first task; warming up takes care of that.
async fn prepare(args: &Args, dir: &Path, stack: &Stack) -> Result<(), BenchError> {
    for archive in plugin::pack_all(&args.noop, dir)? {
        let uploaded = stack.client.upload_plugin(archive, plugin::MEDIA_TYPE).await;
        uploaded.map_err(BenchError::client("uploading a plugin"))?;
    }
    register(stack, &definitions::tasks(), &definitions::workflows()).await
}

/// Stores definitions.
///
/// # Errors
/// When the manager refuses one.
pub async fn register(stack: &Stack, tasks: &[Value], workflows: &[Value]) -> Result<(), BenchError> {
    let client = &stack.client;
    client.put_task_defs(tasks).await.map_err(BenchError::client("storing task definitions"))?;
    let stored = client.put_workflow_defs(workflows).await;
    let refused = stored.map_err(BenchError::client("storing workflow definitions"))?.bulk_error_results;
    match refused.first_key_value() {
        None => Ok(()),
        Some((name, reason)) => Err(BenchError::Shape { what: "a definition", reason: format!("{name}: {reason}") }),
    }
}

async fn one_shot(stack: &mut Stack, report: &mut Report) -> Result<(), BenchError> {
    eprintln!("throughput");
    let (spawns, publishes) = (report.value("limit_spawn_per_s"), report.value("limit_confirmed_publish_per_s"));
    let limit = 1.0 / (1.0 / spawns + 2.0 / publishes);
    report.add("limit_oneshot_per_s", "limit: a process and two messages", "1/s", limit, Shown);
    let fork = measure::throughput(stack, Step::OneShot, Shape::Fork).await?;
    let single = measure::throughput(stack, Step::OneShot, Shape::Single).await?;
    let ratio = fork.tasks_per_s / limit;
    let floor = if spawns >= SPAWNS_PER_S { AtLeast(ONE_SHOT_PER_S) } else { Shown };
    report.add_with_ratio(
        "oneshot_tasks_per_s",
        "one-shot tasks, workflows of 50",
        "1/s",
        fork.tasks_per_s,
        floor,
        Some(ratio),
    );
    report.add("oneshot_limit_ratio", "one-shot tasks ÷ limit", "", ratio, AtLeast(ONE_SHOT_RATIO));
    let (rate, ratio) = (single.tasks_per_s, single.tasks_per_s / limit);
    report.add_with_ratio("oneshot_single_tasks_per_s", "one-shot tasks, workflows of 1", "1/s", rate, Shown, Some(ratio));
    cpu(report, &fork, ["oneshot_manager_cpu_us", "oneshot_agent_cpu_us", "oneshot_broker_cpu_us"], "one-shot");
    Ok(())
}

async fn persistent(stack: &mut Stack, report: &mut Report) -> Result<(), BenchError> {
    let fork = measure::throughput(stack, Step::Persistent, Shape::Fork).await?;
    let single = measure::throughput(stack, Step::Persistent, Shape::Single).await?;
    let store = report.value("limit_store_decisions_per_s");
    let (rate, ratio) = (fork.tasks_per_s, fork.tasks_per_s / store);
    let target = AtLeast(PERSISTENT_PER_S);
    report.add_with_ratio("persistent_tasks_per_s", "persistent tasks, workflows of 50", "1/s", rate, target, Some(ratio));
    let (rate, ratio) = (single.tasks_per_s, single.tasks_per_s / store);
    report.add_with_ratio("persistent_single_tasks_per_s", "persistent tasks, workflows of 1", "1/s", rate, Shown, Some(ratio));
    cpu(report, &fork, ["persistent_manager_cpu_us", "persistent_agent_cpu_us", "persistent_broker_cpu_us"], "persistent");
    Ok(())
}

fn cpu(report: &mut Report, of: &Throughput, keys: [&'static str; 3], kind: &str) {
    for (at, part) in ["manager", "agents and plugins", "RabbitMQ"].into_iter().enumerate() {
        report.add(keys[at], format!("{kind}: processor time per task, {part}"), "µs", of.cpu_us[at], Shown);
    }
}

/// Keys and names of one set of latencies; whether they have targets.
struct LatencyKeys {
    answer: [&'static str; 2],
    start: [&'static str; 2],
    workflow: [&'static str; 2],
    when: &'static str,
    has_targets: bool,
}

const REST_KEYS: LatencyKeys = LatencyKeys {
    answer: ["answer_latency_ms_p50", "answer_latency_ms_p99"],
    start: ["start_latency_ms_p50", "start_latency_ms_p99"],
    workflow: ["workflow_latency_ms_p50", "workflow_latency_ms_p99"],
    when: "at rest",
    has_targets: true,
};

const HALF_LOAD_KEYS: LatencyKeys = LatencyKeys {
    answer: ["answer_latency_ms_p50_half_load", "answer_latency_ms_p99_half_load"],
    start: ["start_latency_ms_p50_half_load", "start_latency_ms_p99_half_load"],
    workflow: ["workflow_latency_ms_p50_half_load", "workflow_latency_ms_p99_half_load"],
    when: "half load",
    has_targets: false,
};

fn latency(report: &mut Report, latency: &Latency, keys: &LatencyKeys) {
    let when = keys.when;
    let mut add = |[p50, p99]: [&'static str; 2], what: &str, values: &[f64], targets: [crate::report::Target; 2]| {
        report.add(p50, format!("{what}, {when}, p50"), "ms", percentile(values, 50.0), targets[0]);
        report.add(p99, format!("{what}, {when}, p99"), "ms", percentile(values, 99.0), targets[1]);
    };
    let targets = if keys.has_targets { [AtMost(8.0), AtMost(40.0)] } else { [Shown, Shown] };
    add(keys.answer, "POST to answer", &latency.answer_ms, [Shown, Shown]);
    add(keys.start, "POST to plugin running", &latency.start_ms, targets);
    add(keys.workflow, "POST to workflow finished", &latency.workflow_ms, [Shown, Shown]);
}

async fn logs(stack: &mut Stack, report: &mut Report) -> Result<(), BenchError> {
    eprintln!("logs");
    let flood = measure::flood(&stack.client, Step::Flood).await?;
    report.add("log_kept_mb_per_s", "log of one task, 15 MiB, all kept", "MB/s", flood.mb_per_s, AtLeast(LOG_MB_PER_S));
    let delay = flood.readable_after_ms;
    report.add("log_readable_ms", "all of it readable after the task's end", "ms", delay, Shown);
    let deluge = measure::flood(&stack.client, Step::Deluge).await?.mb_per_s;
    report.add("log_mb_per_s", "log of one task, 256 MiB, cut at its cap", "MB/s", deluge, AtLeast(LOG_MB_PER_S));
    stack.check()
}

async fn forks(stack: &mut Stack, report: &mut Report) -> Result<(), BenchError> {
    eprintln!("one large workflow");
    let keys = ["fork_task_us_10", "fork_task_us_100", "fork_task_us_1000", "fork_task_us_10000"];
    let mut costs = Vec::new();
    for (key, branches) in keys.into_iter().zip(FORK_SIZES) {
        let cost = measure::fork_task_us(&stack.client, branches).await?;
        report.add(key, format!("time per task, workflow of {branches}"), "µs", cost, Shown);
        costs.push(cost);
        stack.check()?;
    }
    report.add("fork_growth_ratio", "time per task, 10000 ÷ 100", "", costs[3] / costs[1], AtMost(FORK_GROWTH));
    Ok(())
}
