//! What expressions see of a run.

use std::borrow::Cow;

use conductor_model::{TaskId, TaskRecord, Timestamp};
use serde_json::{Map, Value, json};

use crate::expression::Document;
use crate::plan::OWN_TASK_ID;
use crate::run::Run;
use crate::task_type::{self, shown_task_type};

/// A run as the document of expressions. Nothing is copied but what an expression asks for.
pub(crate) struct Scope<'a> {
    pub run: &'a Run,
    /// The task that the expressions belong to, for `${CPEWF_TASK_ID}`.
    pub own_id: Option<TaskId>,
    /// That task's resolved input, for `${task.input.x}`.
    pub own_input: Option<&'a Value>,
}

const WORKFLOW_KEYS: [&str; 12] = [
    "input",
    "output",
    "status",
    "workflowId",
    "parentWorkflowId",
    "parentWorkflowTaskId",
    "workflowType",
    "version",
    "correlationId",
    "reasonForIncompletion",
    "schemaVersion",
    "variables",
];

const TASK_KEYS: [&str; 18] = [
    "input",
    "output",
    "taskType",
    "status",
    "referenceTaskName",
    "retryCount",
    "correlationId",
    "pollCount",
    "taskDefName",
    "scheduledTime",
    "startTime",
    "endTime",
    "workflowInstanceId",
    "taskId",
    "reasonForIncompletion",
    "callbackAfterSeconds",
    "workerId",
    "iteration",
];

impl Document for Scope<'_> {
    fn member(&self, root: &str, key: &str, next: Option<&str>) -> Option<Cow<'_, Value>> {
        match root {
            "workflow" => self.workflow(key),
            "task" => self.own_input.filter(|_| key == "input").map(Cow::Borrowed),
            _ => {
                let record = self.run.latest(root)?;
                if key == "output"
                    && let Some(so_far) = self.so_far(record, next)
                {
                    return Some(Cow::Owned(so_far));
                }
                self.task(record, key)
            }
        }
    }

    fn whole(&self, root: &str) -> Option<Cow<'_, Value>> {
        let whole = match root {
            OWN_TASK_ID => json!(self.own_id?),
            "workflow" => object(&WORKFLOW_KEYS, |key| self.workflow(key)),
            "task" => json!({"input": self.own_input?}),
            _ => {
                let record = self.run.latest(root)?;
                object(&TASK_KEYS, |key| self.task(record, key))
            }
        };
        Some(Cow::Owned(whole))
    }
}

fn object<'v>(keys: &[&str], member: impl Fn(&str) -> Option<Cow<'v, Value>>) -> Value {
    let members = keys.iter().filter_map(|key| Some(((*key).to_owned(), member(key)?.into_owned())));
    Value::Object(members.collect::<Map<_, _>>())
}

impl Scope<'_> {
    /// The output of a task that goes on, where it is not kept in its own record, as far as `next` asks for it.
    fn so_far(&self, record: &TaskRecord, next: Option<&str>) -> Option<Value> {
        if record.status.is_terminal() {
            return None;
        }
        let ix = *self.run.state.by_id.get(&record.id)?;
        (task_type::of(record.task_type).so_far)(self.run, ix, next)
    }

    fn workflow(&self, key: &str) -> Option<Cow<'_, Value>> {
        let record = self.run.workflow();
        let value = match key {
            "input" => return Some(Cow::Borrowed(&record.input)),
            "output" => return Some(Cow::Borrowed(&record.output)),
            "variables" => return Some(Cow::Borrowed(&record.variables)),
            "status" => json!(record.status),
            "workflowId" => json!(record.id),
            "parentWorkflowId" => json!(record.parent_workflow_id),
            "parentWorkflowTaskId" => json!(record.parent_task_id),
            "workflowType" => json!(record.name),
            "version" => json!(record.version),
            "correlationId" => json!(record.correlation_id),
            "reasonForIncompletion" => json!(record.reason),
            "schemaVersion" => json!(2),
            _ => return None,
        };
        Some(Cow::Owned(value))
    }

    fn task<'t>(&self, record: &'t TaskRecord, key: &str) -> Option<Cow<'t, Value>> {
        // The Conductor API writes 0 for moments that have not come.
        let moment = |at: Option<Timestamp>| json!(at.map_or(0, |at| at.0));
        let value = match key {
            "input" => return Some(Cow::Borrowed(&record.input)),
            "output" => return Some(Cow::Borrowed(&record.output)),
            "taskType" => json!(shown_task_type(record)),
            "status" => json!(record.status),
            "referenceTaskName" => json!(&*record.reference),
            "retryCount" => json!(record.attempt),
            "correlationId" => json!(self.run.workflow().correlation_id),
            "pollCount" => json!(record.poll_count),
            "taskDefName" => json!(&*record.definition_name),
            "scheduledTime" => json!(record.scheduled_at),
            "startTime" => moment(record.started_at),
            "endTime" => moment(record.ended_at),
            "workflowInstanceId" => json!(record.workflow_id),
            "taskId" => json!(record.id),
            "reasonForIncompletion" => json!(record.reason),
            "callbackAfterSeconds" => json!(record.callback_after_seconds),
            "workerId" => json!(record.worker_id),
            "iteration" => json!(record.iteration),
            _ => return None,
        };
        Some(Cow::Owned(value))
    }
}
