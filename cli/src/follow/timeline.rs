//! Lines of the timeline: when, which step, what, where, and what else there is to say.

use conductor_client::TaskView;
use conductor_model::{FeedEntry, LogLine, TaskStatus};
use serde_json::Value;

use crate::output::{colours, note};

/// Narrowest column of steps, in characters.
const STEP_WIDTH_MIN: usize = 14;
/// Widest column of steps; longer names push their line to the right.
const STEP_WIDTH_MAX: usize = 32;

/// Writes the timeline of one workflow to standard error.
#[derive(Debug)]
pub struct Timeline {
    /// When the workflow was started, in ms.
    start: i64,
    width: usize,
    colours: bool,
}

/// What a line is about; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
    Quiet,
}

/// Whether nothing more comes of a task after such an event.
pub fn ends_task(kind: &str) -> bool {
    matches!(kind, "task.completed" | "task.failed" | "task.timed-out" | "task.canceled" | "task.lost" | "task.refused")
}

/// Whether nothing more comes of a workflow after such an event.
pub fn ends_workflow(kind: &str) -> bool {
    matches!(kind, "workflow.completed" | "workflow.failed" | "workflow.timed-out" | "workflow.terminated")
}

impl Timeline {
    pub fn new(start: i64) -> Self {
        Self { start, width: STEP_WIDTH_MIN, colours: colours() }
    }

    /// Shows an event of the feed.
    pub fn event(&mut self, entry: &FeedEntry) {
        let data = entry.data.parse();
        let step = match entry.task_id {
            Some(_) => text(&data, "reference").unwrap_or("task"),
            None => "workflow",
        };
        let (what, tone) = describe(entry, &data);
        self.line(entry.at.0, step, &what, tone);
    }

    /// Shows where a task stands that was there before the timeline began.
    pub fn task(&mut self, task: &TaskView) {
        let at = [task.end_time, task.start_time, task.scheduled_time].into_iter().find(|&at| at > 0).unwrap_or(self.start);
        let mut what = match (task.status, &task.worker_id) {
            (TaskStatus::Scheduled, Some(worker)) => format!("given to {worker}"),
            (status, worker) => status.to_string().to_lowercase().replace('_', " ") + &on(worker.as_deref()),
        };
        what.push_str(&attempt(task.retry_count.into()));
        let tone = match task.status.is_terminal() {
            true if task.status.is_successful() => Tone::Good,
            true => Tone::Bad,
            false => Tone::Plain,
        };
        self.line(at, &task.reference_task_name, &what, tone);
    }

    /// Shows that nobody has taken a task yet, and why where that is known.
    pub fn waits(&mut self, scheduled: &FeedEntry, why: Option<&str>) {
        let data = scheduled.data.parse();
        let step = text(&data, "reference").unwrap_or("task");
        let what = match why {
            Some(why) => format!("waits for an agent: {why}"),
            None => "waits to be taken".to_owned(),
        };
        self.line(scheduled.at.0, step, &what, Tone::Plain);
    }

    /// Shows a line of a task's log.
    pub fn log(&mut self, step: &str, line: &LogLine) {
        self.line(line.at.0, step, &format!("| {}", line.text), Tone::Quiet);
    }

    fn line(&mut self, at: i64, step: &str, what: &str, tone: Tone) {
        self.width = self.width.max(step.chars().count().min(STEP_WIDTH_MAX));
        let line = format!("{:>9}  {step:<width$}  {what}", offset(at - self.start), width = self.width);
        match tone {
            _ if !self.colours => note(&line),
            Tone::Plain => note(&line),
            Tone::Good => note(&format!("\x1b[32m{line}\x1b[0m")),
            Tone::Bad => note(&format!("\x1b[31m{line}\x1b[0m")),
            Tone::Quiet => note(&format!("\x1b[2m{line}\x1b[0m")),
        }
    }
}

/// `+1.234s` after the start.
fn offset(ms: i64) -> String {
    let ms = ms.max(0);
    format!("+{}.{:03}s", ms / 1000, ms % 1000)
}

/// The agent or worker that an event with these details tells of.
pub fn worker<'a>(entry: &'a FeedEntry, data: &'a Value) -> Option<&'a str> {
    text(data, "workerId").or_else(|| entry.agent_id.as_ref().map(|agent| agent.as_str()))
}

fn describe(entry: &FeedEntry, data: &Value) -> (String, Tone) {
    let verb = entry.kind.split_once('.').map_or(&*entry.kind, |(_, verb)| verb);
    let worker = worker(entry, data);
    // One line an event: the whole reason stands in the task's record, which the last line names.
    let reason = text(data, "reason").and_then(|reason| reason.lines().next());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let tries = attempt(data.get("attempt").and_then(Value::as_u64).unwrap_or(0));
    match verb {
        "assigned" => (format!("given to {}{tries}", worker.unwrap_or("an agent")), Tone::Plain),
        "progress" => {
            let percent = data.get("percent").and_then(Value::as_f64).map(|percent| format!(" {percent:.0} %"));
            let message = text(data, "message").map(|message| format!(" {message}"));
            (format!("progress{}{}", percent.unwrap_or_default(), message.unwrap_or_default()), Tone::Quiet)
        }
        "completed" => {
            let outcome = text(data, "outcome").filter(|outcome| *outcome != "succeeded");
            let outcome = outcome.map(|outcome| format!(" ({outcome})")).unwrap_or_default();
            (format!("completed{}{tries}{outcome}", on(worker)), Tone::Good)
        }
        "failed" | "timed-out" | "lost" | "refused" | "canceled" | "terminated" => {
            (format!("{verb}{}{tries}{reason}", on(worker)), Tone::Bad)
        }
        // A retry bears the reason of the attempt before it, which was shown with that.
        _ => (format!("{verb}{}{tries}", on(worker)), Tone::Plain),
    }
}

fn on(worker: Option<&str>) -> String {
    worker.map(|worker| format!(" on {worker}")).unwrap_or_default()
}

/// Nothing for the first attempt, which `earlier` counts as 0.
fn attempt(earlier: u64) -> String {
    if earlier == 0 { String::new() } else { format!(", attempt {}", earlier + 1) }
}

fn text<'a>(data: &'a Value, key: &str) -> Option<&'a str> {
    data.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use conductor_model::{Details, TenantName, Timestamp};
    use serde_json::json;

    use super::*;

    fn told(kind: &'static str, data: &Value) -> String {
        let entry = FeedEntry {
            id: 1,
            tenant: TenantName::default_tenant(),
            at: Timestamp(1000),
            kind: kind.into(),
            workflow_id: None,
            task_id: None,
            agent_id: None,
            data: Details::of(data),
        };
        describe(&entry, &entry.data.parse()).0
    }

    #[test]
    fn events_are_told_in_words() {
        assert_eq!(told("task.assigned", &json!({"workerId": "agent-1", "attempt": 0})), "given to agent-1");
        assert_eq!(
            told("task.failed", &json!({"workerId": "agent-1", "attempt": 1, "reason": "exit code 3"})),
            "failed on agent-1, attempt 2: exit code 3"
        );
        assert_eq!(told("task.completed", &json!({"outcome": "not-needed"})), "completed (not-needed)");
        assert_eq!(told("task.progress", &json!({"percent": 40.0, "message": "unpacking"})), "progress 40 % unpacking");
        assert_eq!(told("something.new", &json!(null)), "new");
    }

    #[test]
    fn offsets_are_aligned_and_never_negative() {
        assert_eq!([offset(0), offset(12_345), offset(-5)], ["+0.000s", "+12.345s", "+0.000s"]);
    }

    #[test]
    fn ends_are_told_apart() {
        assert!(ends_task("task.failed") && !ends_task("task.retried"));
        assert!(ends_workflow("workflow.timed-out") && !ends_workflow("workflow.paused"));
    }
}
