//! How tasks and workflows end.

use std::sync::Arc;

use conductor_model::{Outcome, TaskStatus, WorkflowStatus};
use serde_json::Value;

use crate::decision::Effect;
use crate::state::{Ix, json_bytes};
use crate::task_type::awaited_workflow;
use crate::turn::{Turn, Work};
use crate::{feed, flow};

/// How a task ends.
#[derive(Debug)]
pub(crate) struct Ending {
    pub status: TaskStatus,
    pub outcome: Outcome,
    pub reason: Option<String>,
    /// Replaces the output; `None` leaves it.
    pub output: Option<Value>,
    /// Whether the agent or workflow that has the task knows of it: otherwise it is told.
    pub holder_knows: bool,
    /// Whether the workflow ends with it at once, whatever the retry rules say and even if it is paused.
    pub ends_workflow: bool,
}

impl Ending {
    pub fn new(status: TaskStatus, outcome: Outcome) -> Self {
        Self { status, outcome, reason: None, output: None, holder_knows: false, ends_workflow: false }
    }

    /// Done.
    pub fn completed() -> Self {
        Self::new(TaskStatus::Completed, Outcome::Succeeded)
    }

    /// Done, with this output.
    pub fn with_output(output: Value) -> Self {
        Self { output: Some(output), ..Self::completed() }
    }

    /// Failed; may be tried again unless that is `terminal`.
    pub fn failed(reason: String, terminal: bool) -> Self {
        let (status, outcome) = if terminal {
            (TaskStatus::FailedWithTerminalError, Outcome::FailedTerminally)
        } else {
            (TaskStatus::Failed, Outcome::Failed)
        };
        Self { reason: Some(reason), ..Self::new(status, outcome) }
    }

    /// The task cannot run, ever.
    pub fn refused(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::new(TaskStatus::FailedWithTerminalError, Outcome::Refused) }
    }

    /// A timeout passed.
    pub fn timed_out(reason: String, ends_workflow: bool) -> Self {
        Self { reason: Some(reason), ends_workflow, ..Self::new(TaskStatus::TimedOut, Outcome::TimedOut) }
    }

    pub fn canceled(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::new(TaskStatus::Canceled, Outcome::Cancelled) }
    }
}

impl Turn<'_, '_> {
    /// Ends a task. What follows is drawn later in this decision, or when the workflow goes on if it is paused.
    pub fn end_task(&mut self, ix: Ix, ending: Ending) {
        let ends_workflow = ending.ends_workflow;
        self.close(ix, ending);
        if ends_workflow {
            flow::fail(self, ix);
        } else if self.run.workflow.status == WorkflowStatus::Paused {
            self.run.state.pending.insert(ix);
        } else {
            self.push(Work::Ended(ix));
        }
    }

    /// Ends a task well, without following it up: the caller does.
    pub fn finish_at_once(&mut self, ix: Ix, output: Value) {
        self.close(ix, Ending::with_output(output));
        self.change(ix).executed = true;
    }

    /// Ends a task without following it up.
    pub fn close(&mut self, ix: Ix, ending: Ending) {
        let now = self.now();
        let ending = self.with_sound_output(ix, ending);
        if let Some(output) = ending.output {
            self.set_output(ix, output);
        }
        let record = self.change(ix);
        record.status = ending.status;
        record.outcome = Some(ending.outcome);
        record.ended_at = Some(now);
        record.performing = false;
        record.due_at = None;
        if ending.reason.is_some() {
            record.reason = ending.reason;
        } else if ending.status.is_successful() {
            // Kept from a failed attempt until now.
            record.reason = None;
        }
        if !ending.holder_knows {
            self.tell_holder(ix);
        }
        self.run.state.open.remove(&ix);
        let site = self.run.site(ix);
        self.run.state.missing.remove(&site);
        if !ending.ends_workflow {
            self.give_way_to_optional(ix);
        }
        self.note_failure(ix);
        self.tell(ix, feed::ending(self.run.record(ix)));
    }

    /// Why a task's input breaks the schema of its definition, where that is enforced.
    pub fn input_fault(&self, ix: Ix) -> Option<String> {
        let definition = self.run.definition(ix).filter(|definition| definition.enforce_schema)?;
        let schema = definition.input_schema.as_deref()?;
        self.catalogue().schema_fault(schema, "input", &self.run.record(ix).input)
    }

    /// A task that is done with an output that breaks the schema of its definition has failed for good.
    fn with_sound_output(&self, ix: Ix, ending: Ending) -> Ending {
        if ending.status != TaskStatus::Completed {
            return ending;
        }
        let definition = self.run.definition(ix).filter(|definition| definition.enforce_schema);
        let Some(schema) = definition.and_then(|definition| definition.output_schema.as_deref()) else { return ending };
        let output = ending.output.as_ref().unwrap_or(&self.run.record(ix).output);
        match self.catalogue().schema_fault(schema, "output", output) {
            Some(fault) => Ending { output: ending.output, holder_knows: ending.holder_knows, ..Ending::failed(fault, true) },
            None => ending,
        }
    }

    /// Tells the agent or the workflow that has a task that it is over.
    fn tell_holder(&mut self, ix: Ix) {
        let record = self.run.record(ix);
        let reason = || record.reason.clone().unwrap_or_else(|| format!("the task is {}", record.status));
        let effect = match &record.agent {
            Some(agent) => agent.assigned.clone().map(|holder| Effect::Cancel {
                task: record.id,
                dispatch: agent.dispatch,
                agent: holder,
                reason: reason(),
            }),
            None => awaited_workflow(record).map(|workflow| Effect::TerminateWorkflow { workflow, reason: reason() }),
        };
        if let Some(effect) = effect {
            self.effect(effect);
        }
    }

    /// A failed optional step that is not tried again lets the flow go on.
    pub fn give_way_to_optional(&mut self, ix: Ix) {
        let (record, node) = (self.run.record(ix), self.run.node(self.run.site(ix)));
        let failed = record.status.is_terminal() && !record.status.is_successful();
        let optional = failed && node.step.optional && !self.run.workflow.status.is_terminal();
        if optional && !flow::retry_allowed(self.run, ix, self.now()) {
            self.change(ix).status = TaskStatus::CompletedWithErrors;
        }
    }

    /// Keeps the names of what failed.
    fn note_failure(&mut self, ix: Ix) {
        let record = self.run.state.record(ix);
        if matches!(record.status, TaskStatus::Failed | TaskStatus::FailedWithTerminalError | TaskStatus::TimedOut) {
            let workflow = &mut self.run.workflow;
            if !workflow.failed_references.contains(&*record.reference) {
                workflow.failed_references.insert(record.reference.to_string());
            }
            if !workflow.failed_task_names.contains(&*record.definition_name) {
                workflow.failed_task_names.insert(record.definition_name.to_string());
            }
        }
    }

    /// Ends the workflow: nothing more is followed up, and what is open is canceled.
    pub fn end_workflow(&mut self, status: WorkflowStatus, reason: Option<String>) {
        self.forget_work();
        self.run.workflow.status = status;
        self.run.workflow.reason = reason;
        self.run.workflow.ended_at = Some(self.now());
        self.run.workflow.timer_at = None;
        for ix in std::mem::take(&mut self.run.state.open) {
            self.close(ix, Ending::canceled(format!("the workflow is {status}")));
        }
        self.run.state.missing.clear();
        self.run.state.pending.clear();
        self.work_out_output();
        self.tell_workflow(feed::workflow_ending(self.run.workflow.status));
    }

    /// Works out the output of a workflow that ends. One that is too large is left out, and nothing is a success without.
    fn work_out_output(&mut self) {
        match flow::output(self.run) {
            Ok(output) => {
                let workflow = &self.run.plan().snapshot().workflow;
                let fault = if self.run.workflow.status == WorkflowStatus::Completed && workflow.enforce_schema {
                    let schema = workflow.output_schema.as_ref();
                    schema.and_then(|schema| self.catalogue().schema_fault(schema, "output", &output))
                } else {
                    None
                };
                self.set_workflow_output(output);
                if let Some(fault) = fault {
                    self.run.workflow.status = WorkflowStatus::Failed;
                    self.run.workflow.reason = Some(fault);
                }
            }
            Err(error) if self.run.workflow.status == WorkflowStatus::Completed => {
                self.run.workflow.status = WorkflowStatus::Failed;
                self.run.workflow.reason = Some(format!("the workflow's output is left out: {error}"));
            }
            Err(_) => {}
        }
    }

    /// Replaces the workflow's output.
    pub fn set_workflow_output(&mut self, output: Value) {
        let weight = &mut self.run.state.weight;
        *weight = (*weight + json_bytes(&output)).saturating_sub(json_bytes(&self.run.workflow.output));
        self.run.workflow.output = Arc::new(output);
    }

    /// Replaces the workflow's variables.
    pub fn set_variables(&mut self, variables: Value) {
        let weight = &mut self.run.state.weight;
        *weight = (*weight + json_bytes(&variables)).saturating_sub(json_bytes(&self.run.workflow.variables));
        self.run.workflow.variables = Arc::new(variables);
    }
}
