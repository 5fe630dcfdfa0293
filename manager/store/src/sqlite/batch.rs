//! A batch of decisions, written in order.

use rusqlite::Connection;

use super::counters::Counter;
use super::search::text::TextChanges;
use super::{agents, feed, limited_starts, outbox, schedules, snapshots, tasks, workflows};
use crate::{Batch, DecisionWrite, StoreError, WorkflowWrite};

/// Writes the batch, but for the words of its workflows, which are noted. On an error the caller undoes what was written.
pub(super) fn write(connection: &Connection, words: &mut TextChanges, batch: Batch) -> Result<(), StoreError> {
    let last_message = batch.outbox.iter().map(|message| message.id).max();
    let last_entry = batch.feed.iter().map(|entry| entry.id).max();
    for decision in batch.decisions {
        write_decision(connection, words, decision)?;
    }
    for message in &batch.outbox {
        outbox::insert(connection, message)?;
    }
    outbox::delete(connection, &batch.outbox_done)?;
    for agent in &batch.agents {
        agents::put(connection, agent)?;
    }
    for agent in &batch.agents_gone {
        agents::delete(connection, agent)?;
    }
    for (tenant, name, schedule) in &batch.schedules {
        match schedule {
            Some(schedule) => schedules::put(connection, tenant, schedule)?,
            None => schedules::delete(connection, tenant, name)?,
        }
    }
    for (tenant, run) in &batch.schedule_runs {
        schedules::insert_run(connection, tenant, run)?;
    }
    limited_starts::delete(connection, &batch.starts_over)?;
    limited_starts::insert(connection, &batch.starts)?;
    feed::insert(connection, &batch.feed)?;
    for id in batch.workflows_removed {
        workflows::remove(connection, words, id)?;
    }
    if let Some(id) = last_message {
        Counter::Outbox.raise(connection, id)?;
    }
    if let Some(id) = last_entry {
        Counter::Feed.raise(connection, id)?;
    }
    Ok(())
}

fn write_decision(connection: &Connection, words: &mut TextChanges, decision: DecisionWrite) -> Result<(), StoreError> {
    if let Some(WorkflowWrite { snapshot, stored_revision, record, input_replaced }) = decision.workflow {
        if let Some(snapshot) = &snapshot {
            snapshots::put(connection, snapshot)?;
        }
        match stored_revision {
            None => workflows::insert(connection, words, record)?,
            Some(stored) => workflows::update(connection, words, record, stored, input_replaced)?,
        }
    }
    tasks::remove(connection, &decision.removed)?;
    for change in decision.tasks {
        if change.inserted {
            tasks::insert(connection, change.record)?;
        } else {
            tasks::update(connection, change.record)?;
        }
    }
    Ok(())
}
