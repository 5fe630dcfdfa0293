//! Agents.

use conductor_model::{AgentId, AgentRecord};
use rusqlite::{Connection, params};

use super::codec::{During, from_json, to_json};
use super::rows::execute;
use crate::StoreError;

/// Stores an agent, new or changed.
pub(super) fn put(connection: &Connection, agent: &AgentRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "store an agent";
    let body = to_json(OPERATION, agent)?;
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO agent (id, tenant, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET tenant = excluded.tenant, body = excluded.body",
        )
        .during(OPERATION)?;
    statement.execute(params![agent.id.as_str(), agent.tenant.as_str(), body]).map(|_| ()).during(OPERATION)
}

/// Removes an agent.
pub(super) fn delete(connection: &Connection, id: &AgentId) -> Result<(), StoreError> {
    execute(connection, "remove an agent", "DELETE FROM agent WHERE id = ?1", [id.as_str()]).map(|_| ())
}

/// All agents of all tenants, by id.
pub(super) fn all(connection: &Connection) -> Result<Vec<AgentRecord>, StoreError> {
    const OPERATION: &str = "load the agents";
    let mut statement = connection.prepare_cached("SELECT body FROM agent ORDER BY id").during(OPERATION)?;
    let found = statement.query_map([], |row| row.get::<_, String>(0)).during(OPERATION)?;
    found.map(|body| from_json("agent", &body.during(OPERATION)?)).collect()
}
