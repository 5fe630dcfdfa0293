//! Limits on running workflows (`rateLimitConfig` of a workflow definition): runs whose key comes to the same text share so
//! many places. With policy QUEUE a run that finds none is started and held back: it has its turn when another ends, in the order
//! of [`precedence`]. With policy REJECT it is refused. So is, whatever the policy, going on again with a run that
//! is over while there is no place (retry, restart, rerun): it had its turn. Derived from the workflow records, so that a restart
//! changes nothing; the limit in force is that of the definition that the next run in line was started by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use conductor_engine::{Plan, StartRequest};
use conductor_model::definition::RateLimitPolicy;
use conductor_model::{TenantName, Timestamp, WorkflowId, WorkflowRecord, WorkflowStatus};

use super::Core;
use super::follow_up::{FollowUp, NESTING_MAX};
use super::message::CommandError;
use super::precedence::precedence;

/// What runs must share to be counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LineKey {
    pub(super) tenant: TenantName,
    /// Name of the workflow definition.
    pub(super) name: String,
    /// What the rate limit's key comes to.
    pub(super) key: String,
}

/// Where a run waits in its line: its precedence, then older.
type Place = (Timestamp, WorkflowId);

/// Runs with a key: those that go on, and those that wait for their turn.
#[derive(Debug, Default)]
struct Line {
    going: BTreeSet<WorkflowId>,
    waiting: BTreeSet<Place>,
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: HashMap<LineKey, Line>,
    /// In which line a run stands.
    of: BTreeMap<WorkflowId, LineKey>,
}

/// How a run stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has a place.
    Going,
    /// It waits for one.
    Waiting,
    /// It is over.
    Over,
}

impl Turns {
    /// Takes note of how a run stands. Its line when somebody in it may have a turn now.
    pub(super) fn observe(
        &mut self,
        id: WorkflowId,
        key: LineKey,
        precedence: Timestamp,
        standing: Standing,
    ) -> Option<LineKey> {
        let line = self.lines.entry(key.clone()).or_default();
        let waiting = (precedence, id);
        let had_place = line.going.contains(&id);
        match standing {
            Standing::Going => {
                line.waiting.remove(&waiting);
                line.going.insert(id);
                self.of.insert(id, key.clone());
                // Several places may have become free at once.
                (!line.waiting.is_empty()).then_some(key)
            }
            Standing::Waiting => {
                line.waiting.insert(waiting);
                self.of.insert(id, key.clone());
                line.going.remove(&id);
                Some(key)
            }
            Standing::Over => {
                line.waiting.remove(&waiting);
                line.going.remove(&id);
                self.of.remove(&id);
                if line.going.is_empty() && line.waiting.is_empty() {
                    self.lines.remove(&key);
                    return None;
                }
                had_place.then_some(key)
            }
        }
    }

    fn going(&self, key: &LineKey) -> usize {
        self.lines.get(key).map_or(0, |line| line.going.len())
    }

    /// The first that waits, behind another one.
    fn next(&self, key: &LineKey, behind: Option<Place>) -> Option<Place> {
        let waiting = &self.lines.get(key)?.waiting;
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        waiting.range((behind, Bound::Unbounded)).next().copied()
    }

    fn waits(&self, key: &LineKey) -> bool {
        self.lines.get(key).is_some_and(|line| !line.waiting.is_empty())
    }

    /// Lines in which somebody waits.
    pub(super) fn with_waiting(&self) -> Vec<LineKey> {
        self.lines.iter().filter(|(_, line)| !line.waiting.is_empty()).map(|(key, _)| key.clone()).collect()
    }
}

/// The standing that a record says.
pub(super) fn standing(record: &WorkflowRecord) -> Option<(LineKey, Standing)> {
    let key = record.rate_limit_key.clone()?;
    let standing = match (record.status.is_terminal(), record.rate_limited) {
        (true, _) => Standing::Over,
        (false, true) => Standing::Waiting,
        (false, false) => Standing::Going,
    };
    Some((LineKey { tenant: record.tenant.clone(), name: record.name.clone(), key }, standing))
}

impl Core {
    /// Puts a run that is to be started into its line, where its definition has one: it goes at once, waits, or is refused.
    pub(super) fn line_up(&self, plan: &Plan, request: &mut StartRequest) -> Result<(), CommandError> {
        let definition = &plan.snapshot().workflow;
        let Some(config) = &definition.rate_limit_config else { return Ok(()) };
        let Some(most) = usize::try_from(config.concurrent_exec_limit).ok().filter(|most| *most > 0) else { return Ok(()) };
        let Some(key) = plan.rate_limit_key(request) else { return Ok(()) };
        let line = LineKey { tenant: request.tenant.clone(), name: definition.name.clone(), key };
        let full = self.index.turns.going(&line) >= most || self.index.turns.waits(&line);
        if full && config.policy == RateLimitPolicy::Reject {
            return Err(CommandError::RateLimited { name: line.name, key: line.key, most });
        }
        request.rate_limited = full;
        request.rate_limit_key = Some(line.key);
        Ok(())
    }

    /// Whether a run that is over may go on again as far as limits are concerned. What waited for it goes on with it.
    pub(super) fn room_to_go_on(&mut self, workflow: WorkflowId) -> Result<(), CommandError> {
        let mut wanted: Vec<LineKey> = Vec::new();
        let mut next = Some(workflow);
        for _ in 0..=NESTING_MAX {
            let Some(id) = next else { break };
            let run = match self.runs.get(id, self.store.as_ref(), self.batch_number) {
                Ok(Some(run)) => run,
                Ok(None) => break,
                Err(error) => return Err(CommandError::NotStored(error)),
            };
            let record = run.workflow();
            // One that never had its turn waits for it again.
            if !record.status.is_terminal() || record.rate_limited {
                break;
            }
            next = record.parent_workflow_id;
            let config = run.plan().snapshot().workflow.rate_limit_config.as_ref();
            let most = config.and_then(|config| usize::try_from(config.concurrent_exec_limit).ok()).filter(|most| *most > 0);
            let (Some(most), Some(key)) = (most, record.rate_limit_key.clone()) else { continue };
            let line = LineKey { tenant: record.tenant.clone(), name: record.name.clone(), key };
            let before = wanted.iter().filter(|other| **other == line).count();
            if self.index.turns.going(&line) + before >= most {
                return Err(CommandError::RateLimited { name: line.name, key: line.key, most });
            }
            wanted.push(line);
        }
        Ok(())
    }

    /// Takes note of how a workflow stands in its line; who is next is followed up.
    pub(super) fn observe_turn(&mut self, record: &WorkflowRecord) {
        let Some((key, standing)) = standing(record) else { return };
        if let Some(line) = self.index.turns.observe(record.id, key, precedence(record.created_at, record.priority), standing) {
            self.next_turn(&line);
        }
    }

    /// Gives the next run of a line its turn, if there is a place. A paused one lets others go first.
    pub(super) fn next_turn(&mut self, line: &LineKey) {
        let mut last = None;
        while let Some(next) = self.index.turns.next(line, last) {
            let run = match self.runs.get(next.1, self.store.as_ref(), self.batch_number) {
                Ok(Some(run)) => run,
                Ok(None) => return,
                Err(error) => {
                    self.failed.get_or_insert(error);
                    return;
                }
            };
            let config = run.plan().snapshot().workflow.rate_limit_config.as_ref();
            let most = config.and_then(|config| usize::try_from(config.concurrent_exec_limit).ok()).unwrap_or(usize::MAX);
            if self.index.turns.going(line) >= most.max(1) {
                return;
            }
            if run.workflow().status == WorkflowStatus::Running {
                self.follow_ups.push(FollowUp::Admit { workflow: next.1 });
                return;
            }
            last = Some(next);
        }
    }
}
