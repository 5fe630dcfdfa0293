//! Following a workflow live: the feed as a timeline, log lines between, the outcome at the end.

mod logs;
mod timeline;

pub use logs::LogReader;

use std::collections::BTreeMap;
use std::time::Duration;

use conductor_client::{Client, EventStream, TaskView, WorkflowView};
use conductor_model::{FeedEntry, TaskId, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, note, show, show_tree};
use crate::time;
use timeline::Timeline;

/// How often running tasks are asked for new log lines.
const LOG_INTERVAL: Duration = Duration::from_millis(300);
/// How often the workflow itself is looked at: what the feed did not tell is found here at the latest.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Where the feed that is followed begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Before the workflow was started: the feed tells everything.
    Start,
    /// Later: what was before is told from the workflow's tasks.
    Now,
}

/// Of how many waiting tasks it is told at once; the others follow.
const WAITING_TOLD_MAX: usize = 20;
/// Of how many tasks the log is looked at once more when the workflow is over.
const LAST_LOGS_MAX: usize = 100;

/// Shows what happens in a workflow until it ends. `events` is the feed, open already.
pub async fn follow(
    client: &Client,
    format: Format,
    id: WorkflowId,
    mut events: EventStream,
    since: Since,
) -> Result<Exit, CliError> {
    events.narrow(id);
    let mut follower = Follower::begin(client, id, since).await?;
    if follower.is_done {
        return follower.end(format).await;
    }
    tokio::select! {
        result = follower.run(&mut events) => result?,
        _ = tokio::signal::ctrl_c() => {
            note(&format!("{id} goes on; `conductor workflows follow {id}` shows it again"));
            return Ok(Exit::Interrupted);
        }
    }
    follower.end(format).await
}

struct Follower<'a> {
    client: &'a Client,
    id: WorkflowId,
    timeline: Timeline,
    logs: LogReader,
    /// Tasks that run, with the reference to show: their logs may grow.
    open: BTreeMap<TaskId, String>,
    /// Tasks that nobody has taken yet, since when. Most are taken at once; only of the others it is told that they wait.
    waiting: BTreeMap<TaskId, (Instant, FeedEntry)>,
    /// Over before anything was followed.
    is_done: bool,
}

impl<'a> Follower<'a> {
    async fn begin(client: &'a Client, id: WorkflowId, since: Since) -> Result<Self, CliError> {
        let view = client.workflow(&id.to_string(), since == Since::Now).await?;
        let mut timeline = Timeline::new(view.create_time);
        let mut open = BTreeMap::new();
        for task in view.tasks.iter().filter(|_| since == Since::Now) {
            timeline.task(task);
            if !task.status.is_terminal() {
                open.insert(task.task_id, task.reference_task_name.clone());
            }
        }
        let is_done = since == Since::Now && view.status.is_terminal();
        Ok(Self { client, id, timeline, logs: LogReader::default(), open, waiting: BTreeMap::new(), is_done })
    }

    async fn run(&mut self, events: &mut EventStream) -> Result<(), CliError> {
        let mut logs = tokio::time::interval(LOG_INTERVAL);
        let mut look_at = Instant::now() + LOOK_INTERVAL;
        loop {
            let entry = {
                // Polled on through all ticks: a connection that takes longer than a tick is not begun anew each time.
                let next = events.next();
                tokio::pin!(next);
                loop {
                    tokio::select! {
                        entry = &mut next => break entry?,
                        _ = logs.tick() => {
                            self.show_waiting().await?;
                            self.show_logs().await?;
                        }
                    }
                    if Instant::now() >= look_at {
                        look_at = Instant::now() + LOOK_INTERVAL;
                        if self.is_over().await? {
                            return Ok(());
                        }
                    }
                }
            };
            if self.take(&entry).await? {
                return Ok(());
            }
        }
    }

    /// Shows an event; whether it is the workflow's last.
    async fn take(&mut self, entry: &FeedEntry) -> Result<bool, CliError> {
        let Some(task) = entry.task_id else {
            self.timeline.event(entry);
            return Ok(timeline::ends_workflow(&entry.kind));
        };
        if entry.kind == "task.scheduled" {
            self.waiting.insert(task, (Instant::now(), entry.clone()));
            return Ok(false);
        }
        self.waiting.remove(&task);
        let (is_over, data) = (timeline::ends_task(&entry.kind), entry.data.parse());
        // Of a quick task the end may be the first that is told. What no agent or worker had, has no log.
        if entry.kind == "task.started" || (is_over && timeline::worker(entry, &data).is_some()) {
            let reference = data.get("reference").and_then(Value::as_str).unwrap_or_default();
            self.open.insert(task, reference.to_owned());
        }
        if is_over && self.open.contains_key(&task) {
            self.show_log(task).await?;
            self.open.remove(&task);
        }
        self.timeline.event(entry);
        Ok(false)
    }

    /// Tells of tasks that nobody took for a while, and why.
    async fn show_waiting(&mut self) -> Result<(), CliError> {
        let is_long = |since: &Instant| since.elapsed() >= LOG_INTERVAL;
        let long: Vec<TaskId> = self
            .waiting
            .iter()
            .filter(|(_, (since, _))| is_long(since))
            .map(|(task, _)| *task)
            .take(WAITING_TOLD_MAX)
            .collect();
        for task in long {
            let Some((_, entry)) = self.waiting.remove(&task) else { continue };
            let placement = match self.client.placement(&task.to_string()).await {
                Ok(placement) => placement,
                Err(error) if error.is_temporary() || error.is_not_found() => Value::Null,
                Err(error) => return Err(error.into()),
            };
            let why = placement.get("unplaced").and_then(|unplaced| unplaced.get("summary")).and_then(Value::as_str);
            self.timeline.waits(&entry, why);
        }
        Ok(())
    }

    async fn is_over(&self) -> Result<bool, CliError> {
        match self.client.workflow_status(&self.id.to_string()).await {
            Ok(status) => Ok(status.is_terminal()),
            // A manager that restarts is no end of the workflow; the stream says when it stays away.
            Err(error) if error.is_temporary() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn show_logs(&mut self) -> Result<(), CliError> {
        let open: Vec<TaskId> = self.open.keys().copied().collect();
        for task in open {
            self.show_log(task).await?;
        }
        Ok(())
    }

    async fn show_log(&mut self, task: TaskId) -> Result<(), CliError> {
        let lines = match self.logs.more(self.client, task).await {
            Err(error) if error.is_temporary() || error.is_not_found() => return Ok(()),
            other => other?,
        };
        let reference = self.open.get(&task).map_or("", String::as_str);
        for line in lines {
            self.timeline.log(reference, &line);
        }
        Ok(())
    }

    /// Shows the last log lines and the outcome.
    async fn end(mut self, format: Format) -> Result<Exit, CliError> {
        let view = self.client.workflow(&self.id.to_string(), true).await?;
        // Lines that came in behind the end of their task.
        let last = view.tasks.iter().rev().filter(|task| task.start_time > 0).take(LAST_LOGS_MAX);
        self.open.extend(last.map(|task| (task.task_id, task.reference_task_name.clone())));
        self.show_logs().await?;
        note(&outcome(&view));
        let tree = json!({
            "workflowId": view.workflow_id,
            "status": view.status,
            "reasonForIncompletion": view.reason_for_incompletion,
            "output": view.output,
        });
        match format {
            Format::Table => show(format, &view.output, output_rows)?,
            Format::Json | Format::Yaml => show_tree(format, &tree)?,
        }
        Ok(Exit::of_workflow(view.status))
    }
}

fn output_rows(output: &Value) -> Rows {
    let mut rows = Rows::new(&["OUTPUT", "VALUE"], "no output");
    for (key, value) in output.as_object().into_iter().flatten() {
        rows.push([key.clone(), cell(value)]);
    }
    rows
}

fn outcome(view: &WorkflowView) -> String {
    let mut text = format!("{} {} after {}", view.workflow_name, view.status, time::span(view.end_time - view.create_time));
    if let Some(reason) = &view.reason_for_incompletion {
        text.push_str(&format!("\n  reason: {reason}"));
    }
    if view.status != WorkflowStatus::Completed {
        for task in view.tasks.iter().filter(|task| is_culprit(task)) {
            text.push_str(&format!("\n  {} {}: conductor logs {}", task.reference_task_name, task.status, task.task_id));
        }
    }
    text
}

fn is_culprit(task: &TaskView) -> bool {
    task.status.is_terminal() && !task.status.is_successful() && task.status != conductor_model::TaskStatus::Canceled
}
