//! `make bench-search`: how long a search takes over a million stored workflows.
//!
//! Fills a store of its own through its batches, as the manager does, then asks a fixed mix of questions for the newest page
//! of 100 with its count, and writes the 95th percentile into the figures of `make bench`. The workflows have no tasks.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use conductor_model::{Snapshot, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord, WorkflowStatus};
use conductor_store::search::{QueryError, Search, WorkflowField, parse_query};
use conductor_store::{Batch, DecisionWrite, OpenError, SqliteStore, Store, StoreError, WorkflowWrite};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Workflows where no number is given.
const WORKFLOWS: u64 = 1_000_000;
/// Workflows in one batch.
const BATCH: u64 = 500;
/// Names of definitions.
const NAMES: u64 = 50;
/// The first workflow's start, in ms: a Sunday in 2026.
const FIRST_MS: i64 = 1_790_000_000_000;
/// Milliseconds between two starts: a million of them take a month.
const BETWEEN_MS: i64 = 2_600;
/// Times that each question is asked, with other values each time.
const ROUNDS: u64 = 20;
/// Milliseconds that the 95th percentile may take.
const TARGET_MS: f64 = 50.0;

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{0} is not understood; --workflows N, --out FILE and --work-dir FOLDER are")]
    Usage(String),
    #[error("cannot {what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("a question cannot be read")]
    Query(#[from] QueryError),
    #[error("cannot make or read JSON")]
    Json(#[from] serde_json::Error),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
    let what = what.into();
    |source| BenchError::Io { what, source }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conductor-bench-search: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                eprintln!("  because: {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

struct Args {
    workflows: u64,
    out: PathBuf,
    work_dir: PathBuf,
}

fn args() -> Result<Args, BenchError> {
    let exe = std::env::current_exe().map_err(io("find this program's own path"))?;
    let target = exe.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let mut args = Args { workflows: WORKFLOWS, out: target.join("bench.json"), work_dir: target };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| BenchError::Usage(word.clone()))?;
        match word.as_str() {
            "--workflows" => args.workflows = value.parse().map_err(|_| BenchError::Usage(format!("{word} {value}")))?,
            "--out" => args.out = value.into(),
            "--work-dir" => args.work_dir = value.into(),
            _ => return Err(BenchError::Usage(word)),
        }
    }
    Ok(args)
}

fn run() -> Result<(), BenchError> {
    let args = args()?;
    let dir = tempfile::Builder::new().prefix("bench-search-").tempdir_in(&args.work_dir).map_err(io("make a folder"))?;
    let store = SqliteStore::open(&dir.path().join("manager.db"))?;
    let begin = Instant::now();
    fill(&store, args.workflows)?;
    let seconds = begin.elapsed().as_secs_f64();
    let rate = args.workflows as f64 / seconds;
    println!("{} workflows stored in {seconds:.0} s: {rate:.0}/s, each written at its start and at its end", args.workflows);
    let mut all = Vec::new();
    for (what, question) in QUESTIONS {
        let mut times = ask(&store, args.workflows, *question)?;
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!("  {what:<42} {median:>8.1} ms  worst {worst:>8.1} ms");
        all.extend(times);
    }
    all.sort_by(f64::total_cmp);
    let p95 = all[(all.len() * 95).div_ceil(100) - 1];
    let verdict = if p95 <= TARGET_MS { "reached" } else { "missed" };
    println!("search over {} workflows: p95 {p95:.1} ms (target {TARGET_MS} ms: {verdict})", args.workflows);
    store.close();
    write(&args.out, p95, rate)
}

/// Puts the figures beside those of `make bench`.
fn write(out: &std::path::Path, p95: f64, rate: f64) -> Result<(), BenchError> {
    let mut figures: Map<String, Value> = match std::fs::read_to_string(out) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Map::new(),
    };
    figures.insert("search_1m_ms_p95".to_owned(), json!((p95 * 100.0).round() / 100.0));
    figures.insert("search_fill_workflows_per_s".to_owned(), json!(rate.round()));
    std::fs::write(out, serde_json::to_string_pretty(&figures)?).map_err(io(format!("write {}", out.display())))
}

fn fill(store: &SqliteStore, workflows: u64) -> Result<(), BenchError> {
    let snapshots = (0..NAMES).map(snapshot).collect::<Result<Vec<_>, _>>()?;
    let mut number = 0;
    while number < workflows {
        let until = (number + BATCH).min(workflows);
        let records: Vec<WorkflowRecord> = (number..until).map(|number| started(number, &snapshots)).collect();
        let starts = records.iter().map(|record| write_of(record, None, Some(&snapshots[name_of_id(record)])));
        store.commit(Batch { decisions: starts.collect(), ..Batch::default() })?;
        let ends = (number..until).zip(records).map(|(number, record)| write_of(&ended(number, record), Some(1), None));
        store.commit(Batch { decisions: ends.collect(), ..Batch::default() })?;
        number = until;
        if number % 100_000 == 0 {
            eprintln!("  {number}");
        }
    }
    Ok(())
}

fn write_of(record: &WorkflowRecord, stored: Option<u64>, snapshot: Option<&Arc<Snapshot>>) -> DecisionWrite {
    let (snapshot, record) = (snapshot.cloned(), record.clone());
    let workflow = WorkflowWrite { snapshot, stored_revision: stored, record, input_replaced: false };
    DecisionWrite { workflow: Some(workflow), ..DecisionWrite::default() }
}

fn snapshot(name: u64) -> Result<Arc<Snapshot>, BenchError> {
    let workflow: WorkflowDef = serde_json::from_value(json!({ "name": name_of(name), "version": 1, "tasks": [] }))?;
    Ok(Arc::new(Snapshot { digest: format!("digest-{name}"), workflow: Arc::new(workflow), tasks: [].into() }))
}

/// Scatters numbers, always in the same way.
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

fn name_of(name: u64) -> String {
    format!("{}_{name}", ["deploy", "backup", "invoice", "order", "report"][(name % 5) as usize])
}

fn name_of_id(record: &WorkflowRecord) -> usize {
    record.snapshot.rsplit('-').next().and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn start_of(number: u64) -> i64 {
    FIRST_MS + i64::try_from(number).unwrap_or(0) * BETWEEN_MS
}

fn id_of(number: u64) -> WorkflowId {
    let ms = u128::from(start_of(number).unsigned_abs());
    WorkflowId(Uuid::from_u128((ms << 80) | (0x7 << 76) | (0x2 << 62) | u128::from(scatter(number))))
}

fn started(number: u64, snapshots: &[Arc<Snapshot>]) -> WorkflowRecord {
    let chance = scatter(number);
    let name = chance % NAMES;
    let at = Timestamp(start_of(number));
    WorkflowRecord {
        id: id_of(number),
        tenant: TenantName::default_tenant(),
        name: name_of(name),
        version: 1,
        snapshot: Arc::from(snapshots[name as usize].digest.as_str()),
        revision: 1,
        status: WorkflowStatus::Running,
        created_at: at,
        updated_at: at,
        ended_at: None,
        last_retried_at: None,
        input: Arc::new(json!({
            "customer": format!("customer{}", chance % 100_000), "city": format!("city{}", chance % 200),
            "amount": chance % 1_000, "note": "please deliver in the morning",
        })),
        output: Arc::new(Value::Null),
        variables: Arc::new(json!({})),
        correlation_id: Some(format!("order-{number:07}")),
        idempotency_key: None,
        priority: 0,
        task_to_domain: [].into(),
        parent_workflow_id: None,
        parent_task_id: None,
        created_by: Some("bench".to_owned()),
        reason: None,
        failed_references: [].into(),
        failed_task_names: [].into(),
        next_seq: 14,
        timer_at: None,
        tolerated: 0,
        event: None,
        rate_limit_key: None,
        rate_limited: false,
    }
}

fn ended(number: u64, mut record: WorkflowRecord) -> WorkflowRecord {
    let chance = scatter(number) / NAMES;
    record.revision = 2;
    record.status = match chance % 100 {
        0..=3 => WorkflowStatus::Failed,
        4 => WorkflowStatus::TimedOut,
        5 => WorkflowStatus::Terminated,
        _ => WorkflowStatus::Completed,
    };
    record.ended_at = Some(Timestamp(record.created_at.0 + 4_000));
    record.output =
        Arc::new(json!({ "invoice": format!("inv{number}"), "delivered": true, "by": format!("van{}", chance % 37) }));
    if record.status == WorkflowStatus::Failed {
        record.reason = Some(format!("Task step_{} failed: connection refused by host{}", chance % 13, chance % 500));
        record.failed_references = [format!("step_{}", chance % 13)].into();
    }
    record
}

type Question = fn(u64, u64) -> String;

fn name(chance: u64) -> String {
    name_of(chance % NAMES)
}

fn hour(chance: u64, workflows: u64) -> (i64, i64) {
    let from = start_of(chance % workflows);
    (from, from + 3_600_000)
}

/// What is asked, made from a scattered number and how many workflows there are.
const QUESTIONS: &[(&str, Question)] = &[
    ("all", |_, _| "*".to_owned()),
    ("by name", |chance, _| format!("workflowType = {}", name(chance))),
    ("by status", |chance, _| format!("status = {}", ["COMPLETED", "FAILED", "RUNNING"][(chance % 3) as usize])),
    ("by name and status", |chance, _| format!("workflowType = {} AND status = FAILED", name(chance))),
    ("by an hour", |chance, n| {
        let (from, to) = hour(chance, n);
        format!("startTime > {from} AND startTime < {to}")
    }),
    ("by name, status and an hour", |chance, n| {
        let (from, to) = hour(chance, n);
        format!("workflowType = {} AND status IN (COMPLETED, FAILED) AND startTime BETWEEN {from} AND {to}", name(chance))
    }),
    ("by correlation id", |chance, n| format!("correlationId = order-{:07}", chance % n)),
    ("by the beginning of a correlation id", |chance, n| format!("correlationId = order-{:05}*", chance % n / 100)),
    ("by the beginning of a name", |chance, _| {
        format!("workflowType = {}*", ["deploy", "back", "invoice_1", "ord", "report_4"][(chance % 5) as usize])
    }),
    ("by id", |chance, n| format!("workflowId = {}", id_of(chance % n))),
    ("by either of two conditions", |chance, n| {
        format!("(workflowType = {} AND status = TIMED_OUT) OR correlationId = order-{:07}", name(chance), chance % n)
    }),
    ("not by name and status", |chance, _| format!("NOT status = COMPLETED AND workflowType = {}", name(chance))),
    ("by a rare word", |chance, n| format!("inv{}", chance % n)),
    ("by a frequent word", |chance, _| format!("city{}", chance % 200)),
    ("by a word that all have", |_, _| "morning".to_owned()),
    ("by the beginning of a word", |chance, _| format!("customer{}*", 1_000 + chance % 9_000)),
    ("by a phrase and a name", |chance, _| format!("'connection refused' AND workflowType = {}", name(chance))),
    ("by two words and a status", |chance, _| format!("delivered AND van{} AND status = COMPLETED", chance % 37)),
];

/// How long each round took, in ms.
fn ask(store: &SqliteStore, workflows: u64, question: Question) -> Result<Vec<f64>, BenchError> {
    let tenant = TenantName::default_tenant();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let matching = parse_query::<WorkflowField>(&question(scatter(round + 1), workflows))?;
        let search = Search { matching, order: Vec::new(), offset: 0, limit: 100 };
        let begin = Instant::now();
        let found = store.search_workflows(&tenant, &search)?;
        times.push(begin.elapsed().as_secs_f64() * 1_000.0);
        std::hint::black_box(found);
    }
    Ok(times)
}
