//! A batch, all or nothing: everything that could refuse it is checked before anything is changed.

use std::collections::{HashMap, HashSet};

use conductor_model::{TaskId, WorkflowId};

use super::state::State;
use crate::{Batch, DecisionWrite, StoreError, WorkflowWrite};

/// What the earlier decisions of a batch will have done.
#[derive(Default)]
struct Ahead {
    revisions: HashMap<WorkflowId, u64>,
    tasks: HashSet<TaskId>,
    snapshots: HashSet<String>,
}

impl State {
    /// Applies a batch.
    pub(super) fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        let mut ahead = Ahead::default();
        for decision in &batch.decisions {
            if let Some(write) = &decision.workflow {
                self.check_workflow(write, &mut ahead)?;
            }
            self.check_tasks(decision, &mut ahead)?;
        }
        check_new("message", batch.outbox.iter().map(|message| message.id), |id| self.outbox.contains_key(&id))?;
        check_new("feed entry", batch.feed.iter().map(|entry| entry.id), |id| self.feed.contains_key(&id))?;
        for decision in batch.decisions {
            self.apply_decision(decision);
        }
        for message in batch.outbox {
            self.last_outbox_id = self.last_outbox_id.max(message.id);
            self.outbox.insert(message.id, message);
        }
        for id in batch.outbox_done {
            self.outbox.remove(&id);
        }
        for agent in batch.agents {
            self.agents.insert(agent.id.clone(), agent);
        }
        for agent in batch.agents_gone {
            self.agents.remove(&agent);
        }
        for (tenant, name, schedule) in batch.schedules {
            match schedule {
                Some(schedule) => self.schedules.insert((tenant, name), schedule),
                None => self.schedules.remove(&(tenant, name)),
            };
        }
        for (tenant, run) in batch.schedule_runs {
            self.add_schedule_run(tenant, run);
        }
        for over in batch.starts_over {
            self.starts.retain(|start| (&start.tenant, &start.name) != (&over.tenant, &over.name) || start.at > over.at);
        }
        self.starts.extend(batch.starts);
        for entry in batch.feed {
            self.last_feed_id = self.last_feed_id.max(entry.id);
            self.feed.insert(entry.id, entry);
        }
        for id in batch.workflows_removed {
            self.remove_workflow(id);
        }
        Ok(())
    }

    fn remove_workflow(&mut self, id: WorkflowId) {
        self.workflows.remove(&id);
        if let Some(place) = self.places.remove(&id) {
            self.by_start.remove(&place);
        }
        self.idempotency_keys.retain(|_, holder| *holder != id);
        let tasks: HashSet<TaskId> = self.tasks_of(id, 0).map(|task| task.id).collect();
        self.tasks_of.retain(|(workflow, _), _| *workflow != id);
        self.tasks.retain(|task, _| !tasks.contains(task));
        self.logs.retain(|(task, _), _| !tasks.contains(task));
        self.outbox.retain(|_, message| !tasks.contains(&message.task));
    }

    fn check_workflow(&self, write: &WorkflowWrite, ahead: &mut Ahead) -> Result<(), StoreError> {
        let record = &write.record;
        let id = record.id;
        ahead.snapshots.extend(write.snapshot.iter().map(|snapshot| snapshot.digest.clone()));
        let stored = ahead.revisions.get(&id).copied().or_else(|| self.workflows.get(&id).map(|known| known.revision));
        match (write.stored_revision, stored) {
            (None, Some(_)) => return Err(StoreError::Exists { what: format!("workflow {id}") }),
            (Some(expected), Some(stored)) if expected == stored => {}
            (Some(_), _) => return Err(StoreError::Conflict { workflow: id }),
            (None, None) => {
                if !ahead.snapshots.contains(&*record.snapshot) && !self.snapshots.contains_key(&*record.snapshot) {
                    let message = format!("snapshot {} is not stored", record.snapshot);
                    return Err(StoreError::Backend { operation: "store a workflow", message });
                }
            }
        }
        ahead.revisions.insert(id, record.revision);
        Ok(())
    }

    fn check_tasks(&self, decision: &DecisionWrite, ahead: &mut Ahead) -> Result<(), StoreError> {
        for change in &decision.tasks {
            let id = change.record.id;
            let known = self.tasks.contains_key(&id) || ahead.tasks.contains(&id);
            match (change.inserted, known) {
                (true, true) => return Err(StoreError::Exists { what: format!("task {id}") }),
                (true, false) => _ = ahead.tasks.insert(id),
                (false, true) => {}
                (false, false) => {
                    let message = format!("task {id} is not stored");
                    return Err(StoreError::Backend { operation: "update a task", message });
                }
            }
        }
        Ok(())
    }

    fn apply_workflow(&mut self, write: WorkflowWrite) {
        if let Some(snapshot) = write.snapshot {
            self.snapshots.entry(snapshot.digest.clone()).or_insert(snapshot);
        }
        let mut record = write.record;
        if let Some(key) = &record.idempotency_key {
            self.idempotency_keys.insert((record.tenant.clone(), record.name.clone(), key.clone()), record.id);
        }
        // As everywhere: an input is stored with the first write and never again.
        if let Some(known) = self.workflows.get(&record.id).filter(|_| !write.input_replaced) {
            record.input = known.input.clone();
        }
        if !self.places.contains_key(&record.id) {
            self.arrivals += 1;
            let place = (record.created_at, self.arrivals);
            self.by_start.insert(place, record.id);
            self.places.insert(record.id, place);
        }
        self.workflows.insert(record.id, record);
    }

    fn apply_decision(&mut self, decision: DecisionWrite) {
        if let Some(write) = decision.workflow {
            self.apply_workflow(write);
        }
        for id in decision.removed {
            if let Some(task) = self.tasks.remove(&id) {
                self.tasks_of.remove(&(task.workflow_id, task.seq));
                self.logs.retain(|(owner, _), _| *owner != id);
            }
        }
        for change in decision.tasks {
            let mut record = change.record;
            if let Some(known) = self.tasks.get(&record.id) {
                record.input = known.input.clone();
            }
            self.tasks_of.insert((record.workflow_id, record.seq), record.id);
            self.tasks.insert(record.id, record);
        }
    }
}

fn check_new(what: &str, ids: impl Iterator<Item = u64>, known: impl Fn(u64) -> bool) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    for id in ids {
        if known(id) || !seen.insert(id) {
            return Err(StoreError::Backend { operation: "store a batch", message: format!("{what} {id} is stored already") });
        }
    }
    Ok(())
}
