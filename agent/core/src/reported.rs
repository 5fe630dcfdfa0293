//! Tasks that are over and confirmed, remembered for a while.

use std::collections::VecDeque;
use std::sync::Arc;

use conductor_model::{TaskId, WorkflowId};
use conductor_wire::amqp::TaskFinished;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use crate::limits::{REPORTED_KEYS_MAX, REPORTED_OUTPUT_BYTES_MAX, REPORTED_RESULTS_MAX};
use crate::record::TaskKey;

/// A whole report.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub workflow_id: WorkflowId,
    pub finished: Arc<TaskFinished>,
}

#[derive(Debug)]
struct Remembered {
    dispatch: u32,
    report: Option<Report>,
}

/// The memory: bounded twice, by keys and by whole reports.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    tasks: FxHashMap<TaskId, Remembered>,
    order: VecDeque<TaskKey>,
    with_report: VecDeque<TaskId>,
}

impl Reported {
    /// The dispatch of the task that was reported, and the report where it is still at hand.
    pub fn get(&self, task_id: TaskId) -> Option<(u32, Option<&Report>)> {
        self.tasks.get(&task_id).map(|task| (task.dispatch, task.report.as_ref()))
    }

    /// Remembers a report, forgetting the oldest beyond the limits.
    pub fn remember(&mut self, key: TaskKey, report: Option<Report>) {
        let report = report.filter(|report| weight(&report.finished.output) <= REPORTED_OUTPUT_BYTES_MAX);
        if report.is_some() {
            self.with_report.push_back(key.task_id);
            if self.with_report.len() > REPORTED_RESULTS_MAX
                && let Some(oldest) = self.with_report.pop_front()
                && let Some(task) = self.tasks.get_mut(&oldest)
            {
                task.report = None;
            }
        }
        self.tasks.insert(key.task_id, Remembered { dispatch: key.dispatch, report });
        self.order.push_back(key);
        if self.order.len() > REPORTED_KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
            && self.tasks.get(&oldest.task_id).is_some_and(|task| task.dispatch == oldest.dispatch)
        {
            self.tasks.remove(&oldest.task_id);
        }
    }
}

/// Bytes that a JSON object takes, roughly.
fn weight(map: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 16,
            Value::String(text) => 24 + text.len(),
            Value::Array(items) => 24 + items.iter().map(of).sum::<usize>(),
            Value::Object(map) => weight(map),
        }
    }
    map.iter().map(|(key, value)| 32 + key.len() + of(value)).sum()
}
