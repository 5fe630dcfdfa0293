//! Running a workflow once more from a task of a workflow inside it.

use conductor_engine::{Event, Refusal};
use conductor_model::{TaskId, TenantName, WorkflowId};
use serde_json::{Map, Value};

use super::Core;
use super::commands::command_error;
use super::follow_up::NESTING_MAX;
use super::message::{CommandError, Reply};

/// What a rerun says beside where from.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    pub(super) task_input: Option<Map<String, Value>>,
    pub(super) workflow_input: Option<Map<String, Value>>,
    pub(super) correlation_id: Option<String>,
}

/// A task, and the workflow that it is a step of.
type Place = (WorkflowId, TaskId);

impl Core {
    /// Whether a task is one of a workflow's own.
    pub(super) fn has_task(&self, workflow: WorkflowId, task: TaskId) -> bool {
        self.runs.peek(workflow).is_some_and(|run| run.task(task).is_some())
    }

    /// Runs the workflow that a task belongs to once more from there on, and all workflows around it up to `outer`: each
    /// waits for the one inside it again, and does once more what came later. The outermost goes first, since a workflow
    /// that goes on would otherwise have the one around it go on as by a retry.
    pub(super) fn rerun_within(
        &mut self,
        tenant: &TenantName,
        outer: WorkflowId,
        from: TaskId,
        replaced: Replaced,
        reply: Reply<()>,
    ) {
        match self.rerun_down(tenant, outer, from, replaced) {
            Ok(()) => self.building.reply(reply, ()),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn rerun_down(
        &mut self,
        tenant: &TenantName,
        outer: WorkflowId,
        from: TaskId,
        replaced: Replaced,
    ) -> Result<(), CommandError> {
        let unknown = || CommandError::Refused(Refusal::UnknownTask { task: from });
        let (inner, way) = self.way_to(tenant, outer, from)?.ok_or_else(unknown)?;
        self.room_to_go_on(inner)?;
        let Replaced { task_input, workflow_input, correlation_id } = replaced;
        let (mut workflow_input, mut correlation_id) = (workflow_input, correlation_id);
        let mut around: Option<Place> = None;
        for (workflow, task) in way {
            let (workflow_input, correlation_id) = (workflow_input.take(), correlation_id.take());
            self.decide_inside(around, workflow, Event::RerunChild { task, workflow_input, correlation_id })?;
            around = Some((workflow, task));
        }
        let event = Event::Rerun { from: Some(from), task_input, workflow_input: None, correlation_id: None };
        self.decide_inside(around, inner, event)
    }

    /// Has a workflow go on. Where it does not, the task that waits for it already hears of that.
    fn decide_inside(&mut self, around: Option<Place>, workflow: WorkflowId, event: Event) -> Result<(), CommandError> {
        let Err(error) = self.decide(workflow, event) else { return Ok(()) };
        let error = command_error(error, workflow);
        if let Some((outer, task)) = around {
            let reason = format!("workflow {workflow} cannot be run again: {error}");
            self.log_refusal(outer, Event::ChildRefused { task, reason, terminal: false });
        }
        Err(error)
    }

    /// The workflow that a task belongs to, and the tasks that lead down to it, from that of `outer` on; `None` = it is not
    /// inside, or an earlier attempt led there.
    fn way_to(
        &mut self,
        tenant: &TenantName,
        outer: WorkflowId,
        task: TaskId,
    ) -> Result<Option<(WorkflowId, Vec<Place>)>, CommandError> {
        let Some(record) = self.store.task(tenant, task).map_err(CommandError::NotStored)? else { return Ok(None) };
        let mut way = Vec::new();
        let mut at = record.workflow_id;
        while at != outer {
            self.status_for(tenant, at)?;
            let Some(inside) = self.runs.peek(at).map(conductor_engine::Run::workflow) else { return Ok(None) };
            let (Some(parent), Some(task)) = (inside.parent_workflow_id, inside.parent_task_id) else { return Ok(None) };
            self.status_for(tenant, parent)?;
            let leads = |task: &conductor_model::TaskRecord| !task.retried && task.sub_workflow_id == Some(at);
            if !self.runs.peek(parent).and_then(|run| run.task(task)).is_some_and(leads) || way.len() > NESTING_MAX {
                return Ok(None);
            }
            way.push((parent, task));
            at = parent;
        }
        way.reverse();
        Ok(Some((record.workflow_id, way)))
    }
}
