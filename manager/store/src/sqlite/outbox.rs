//! Messages for agents that the broker has not confirmed yet.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::codec::{During, int, name, task_id, unsigned};
use crate::{OutboxKind, OutboxMessage, StoreError};

const TASK: i64 = 0;
const CANCEL: i64 = 1;

/// Stores a message.
pub(super) fn insert(connection: &Connection, message: &OutboxMessage) -> Result<(), StoreError> {
    const OPERATION: &str = "store a message";
    let kind = match message.kind {
        OutboxKind::Task => TASK,
        OutboxKind::Cancel => CANCEL,
    };
    let mut statement = connection
        .prepare_cached("INSERT INTO outbox (id, tenant, agent, task, kind, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .during(OPERATION)?;
    let (tenant, agent) = (message.tenant.as_str(), message.agent.as_str());
    let values = params![int(message.id), tenant, agent, message.task.as_bytes(), kind, &*message.body];
    statement.execute(values).map(|_| ()).during(OPERATION)
}

/// Drops messages that arrived or are no longer wanted.
pub(super) fn delete(connection: &Connection, ids: &[u64]) -> Result<(), StoreError> {
    const OPERATION: &str = "drop a message";
    let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE id = ?1").during(OPERATION)?;
    for id in ids {
        statement.execute([int(*id)]).during(OPERATION)?;
    }
    Ok(())
}

/// All messages, by id.
pub(super) fn all(connection: &Connection) -> Result<Vec<OutboxMessage>, StoreError> {
    const OPERATION: &str = "load the messages";
    let mut statement =
        connection.prepare_cached("SELECT id, tenant, agent, task, kind, body FROM outbox ORDER BY id").during(OPERATION)?;
    let rows = statement
        .query_map([], |row| {
            let kind = if row.get::<_, i64>(4)? == CANCEL { OutboxKind::Cancel } else { OutboxKind::Task };
            Ok(OutboxMessage {
                id: unsigned(row.get(0)?),
                tenant: name(1, row.get(1)?)?,
                agent: name(2, row.get(2)?)?,
                task: task_id(3, row.get_ref(3)?.as_blob()?)?,
                kind,
                body: Arc::from(row.get_ref(5)?.as_str()?),
            })
        })
        .during(OPERATION)?;
    rows.collect::<Result<_, _>>().during(OPERATION)
}
