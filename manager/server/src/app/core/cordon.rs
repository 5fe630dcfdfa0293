//! Leaving agents alone, by an operator's word.

use conductor_model::{AgentId, Cordon, TenantName};
use serde_json::json;

use super::Core;
use super::message::{Announcement, CommandError, Reply};

impl Core {
    /// Gives an agent nothing new from now on, or again. What it has goes on either way.
    pub(super) fn cordon(&mut self, tenant: &TenantName, id: &AgentId, cordon: Option<Cordon>, reply: Reply<()>) {
        let Some(agent) = self.fleet.agents.get_mut(id).filter(|agent| agent.record.tenant == *tenant) else {
            let _ = reply.send(Err(CommandError::UnknownAgent(id.clone())));
            return;
        };
        let kind = if cordon.is_some() { "agent.cordoned" } else { "agent.uncordoned" };
        let data = json!({ "reason": cordon.as_ref().and_then(|cordon| cordon.reason.as_deref()) });
        let changes = agent.record.cordon.is_some() != cordon.is_some();
        agent.record.cordon = cordon;
        let record = agent.record.clone();
        self.building.agent(record);
        if changes {
            let (tenant, agent) = (tenant.clone(), Some(id.clone()));
            self.announce(Announcement { tenant, kind, task: None, agent, data });
        }
        self.index.places_changed = true;
        self.building.reply(reply, ());
    }
}
