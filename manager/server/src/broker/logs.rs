//! Log lines from agents: whoever has or had a task may write them, and nobody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use conductor_model::{AgentId, LogLine, TaskId, TenantName};
use conductor_store::{Store, StoreError};
use conductor_wire::amqp::FromAgentBody;
use futures_util::StreamExt;
use lapin::Consumer;
use lapin::options::BasicAckOptions;

use super::Ended;
use super::consumers::{AGAIN_AFTER, ended, read};
use crate::app::core::CoreHandle;

/// Deliveries of log lines stored in one go.
const DELIVERIES_PER_STORE_MAX: usize = 64;
/// Tasks whose writers are remembered.
const REMEMBERED_MAX: usize = 8192;

/// What one agent wrote in one message.
#[derive(Clone, Debug)]
struct Written {
    agent: AgentId,
    tenant: TenantName,
    lines: Vec<LogLine>,
}

/// Who may write lines of which task.
///
/// It is read from the stored record, off the deciding thread and once a task: an order is sent only after it was stored who
/// gets it, and the record keeps who had the task before, so that late lines of a task that is over or was lost are taken.
#[derive(Debug, Default)]
struct Writers {
    known: HashMap<TaskId, (TenantName, HashSet<AgentId>)>,
}

impl Writers {
    fn may_write(&mut self, store: &dyn Store, by: &Written, task: TaskId) -> Result<bool, StoreError> {
        let is_known = |(tenant, agents): &(TenantName, HashSet<AgentId>)| *tenant == by.tenant && agents.contains(&by.agent);
        if self.known.get(&task).is_some_and(is_known) {
            return Ok(true);
        }
        let part = store.task(&by.tenant, task)?.and_then(|record| record.agent);
        if !part.is_some_and(|part| part.was_given_to(&by.agent)) {
            return Ok(false);
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        let (_, agents) = self.known.entry(task).or_insert_with(|| (by.tenant.clone(), HashSet::new()));
        agents.insert(by.agent.clone());
        Ok(true)
    }

    /// Stores what its writer may write.
    fn store(&mut self, store: &dyn Store, all: &[Written]) -> Result<(), StoreError> {
        let mut lines: Vec<(&TenantName, Vec<LogLine>)> = Vec::new();
        for written in all {
            let mut allowed: HashMap<TaskId, bool> = HashMap::new();
            let mut good = Vec::with_capacity(written.lines.len());
            for line in &written.lines {
                let is_allowed = match allowed.get(&line.task_id) {
                    Some(is_allowed) => *is_allowed,
                    None => {
                        let is_allowed = self.may_write(store, written, line.task_id)?;
                        if !is_allowed {
                            tracing::error!(
                                target: "audit", agent = %written.agent, tenant = %written.tenant, task.id = %line.task_id,
                                "log lines of a task that the agent was not given were dropped"
                            );
                        }
                        allowed.insert(line.task_id, is_allowed);
                        is_allowed
                    }
                };
                if is_allowed {
                    good.push(line.clone());
                }
            }
            match lines.last_mut() {
                Some((owner, all)) if **owner == written.tenant => all.extend(good),
                _ => lines.push((&written.tenant, good)),
            }
        }
        lines
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty())
            .try_for_each(|(tenant, lines)| store.append_logs(tenant, lines))
    }
}

/// Keeps log lines until the connection ends.
pub(super) async fn keep(consumer: Consumer, core: CoreHandle, store: Arc<dyn Store>, own_accounts: bool) -> Ended {
    let mut writers = Writers::default();
    let mut chunks = consumer.ready_chunks(DELIVERIES_PER_STORE_MAX);
    while let Some(chunk) = chunks.next().await {
        let mut all = Vec::with_capacity(chunk.len());
        let mut last = None;
        for delivery in chunk {
            let delivery = delivery?;
            if let Some((from, FromAgentBody::Logs { tenant, lines })) = read(&delivery, own_accounts) {
                if core.is_of_tenant(&from.agent, &tenant) {
                    all.push(Written { agent: from.agent, tenant, lines });
                } else {
                    tracing::error!(target: "audit", agent = %from.agent, %tenant, "log lines in another tenant were dropped");
                }
            }
            last = Some(delivery);
        }
        let all = Arc::new(all);
        loop {
            let (store, all) = (Arc::clone(&store), Arc::clone(&all));
            let mut known = std::mem::take(&mut writers);
            let stored = tokio::task::spawn_blocking(move || {
                let stored = known.store(store.as_ref(), &all);
                (known, stored)
            });
            let error = match stored.await {
                Ok((known, stored)) => {
                    writers = known;
                    match stored {
                        Ok(()) => break,
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => error.to_string(),
            };
            tracing::error!(%error, "log lines could not be stored; trying again");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        if let Some(delivery) = last {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    Err(ended("logs"))
}

#[cfg(test)]
mod tests {
    use conductor_model::{LogStream, Outcome};

    use super::*;
    use crate::app::tests::{World, on_agent, tenant};
    use crate::clock;

    fn written(agent: &str, tenant: TenantName, task: TaskId, seq: u64, text: &str) -> Written {
        let line = LogLine { task_id: task, seq, at: clock::now(), stream: LogStream::Stdout, text: text.to_owned() };
        Written { agent: agent.parse().unwrap(), tenant, lines: vec![line] }
    }

    #[tokio::test]
    async fn lines_are_written_by_who_has_or_had_the_task_and_by_nobody_else() {
        let mut world = World::on(Arc::new(conductor_store::MemoryStore::new()), 200);
        world.plugin("p");
        let (task, workflow) = on_agent(true);
        world.define(task, workflow).await;
        world.agent("agent-1", ("role", "web"), 1).await;
        let id = world.start("remote_flow").await;
        let (_, envelope) = world.task_order().await;
        let task = envelope.task_id;
        let mut writers = Writers::default();
        let stored = || -> Vec<String> {
            world.store.logs(&tenant(), task, 0, 100).unwrap().into_iter().map(|line| line.text).collect()
        };
        let elsewhere: TenantName = "elsewhere".parse().unwrap();
        let forged = [
            written("agent-2", tenant(), task, 1, "forged before the true one"),
            written("agent-1", elsewhere.clone(), task, 1, "in another tenant"),
            written("agent-2", tenant(), TaskId::from_slice(&7_u128.to_be_bytes()).unwrap(), 1, "of no task at all"),
        ];
        writers.store(world.store.as_ref(), &forged).unwrap();
        writers.store(world.store.as_ref(), &[written("agent-1", tenant(), task, 1, "true")]).unwrap();
        assert_eq!(stored(), ["true"]);
        assert_eq!(world.store.logs(&elsewhere, task, 0, 100).unwrap(), []);
        let handle = world.core();
        let (agent, stranger) = ("agent-1".parse().unwrap(), "agent-9".parse().unwrap());
        assert!(handle.is_of_tenant(&agent, &tenant()) && !handle.is_of_tenant(&agent, &elsewhere));
        assert!(handle.is_of_tenant(&stranger, &tenant()), "what it had is in the record alone");

        // The first agent goes away; the second has the task now, and the first still delivers what it had.
        world.agent("agent-2", ("role", "web"), 1).await;
        let (second, again) = loop {
            world.lease("agent-2", Vec::new());
            if let Ok(order) = tokio::time::timeout(std::time::Duration::from_millis(20), world.order()).await
                && let (agent, conductor_wire::amqp::ToAgentItem::Task(envelope)) = order
            {
                break (agent, envelope);
            }
        };
        assert_eq!((second.as_str(), again.task_id), ("agent-2", task));
        let late = [written("agent-1", tenant(), task, 2, "late"), written("agent-2", tenant(), task, 3, "of the second")];
        writers.store(world.store.as_ref(), &late).unwrap();
        world.report(&second, &again, Outcome::Succeeded).await;
        world.until(id, "the end", |workflow, _| workflow.status.is_terminal()).await;
        // Also after the end, and by a manager that remembers nothing.
        let last = [written("agent-2", tenant(), task, 4, "the last"), written("agent-3", tenant(), task, 5, "forged")];
        Writers::default().store(world.store.as_ref(), &last).unwrap();
        let texts = world.store.logs(&tenant(), task, 0, 100).unwrap().into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts, ["true", "late", "of the second", "the last"]);
    }
}
