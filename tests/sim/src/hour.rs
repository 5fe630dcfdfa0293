//! An agent that nothing reaches for an hour, and nothing comes from, while it has tasks: they go on and end in time, the
//! manager does not wait for them, and what came of them arrives in order once the agent is back.

use conductor_agent_core::TaskKey;
use conductor_model::Timestamp;
use conductor_store::Store;
use rand::Rng;

use crate::manager::LEASE_MS;
use crate::scenario::TIMEOUT_SECONDS;
use crate::simulation::{STEP_MS, World};

/// How long it is cut off.
const HOUR_MS: i64 = 3_600_000;
/// Longest step in that time in ms: short enough that leases of others last.
const HOUR_STEP_MS: i64 = 6_000;
/// Workflows that are started so that there is something to do.
const STARTS: usize = 8;
/// One more is started every so many steps, so that the others have something to do.
const START_EVERY: usize = 60;
/// Steps until an agent has a task, and until all is told, at most.
const STEPS_MAX: usize = 4_000;
/// Steps before the hour: what the broker held back when the faults stopped has arrived by then.
const CALM_STEPS: usize = 400;
/// An agent that crashes in between does so within so many ms, and is away for as long at most.
const CRASH_MS: i64 = 60_000;

impl World {
    /// Plays that hour. Nothing else goes wrong meanwhile, but that the agent may crash.
    ///
    /// # Errors
    /// What did not hold.
    pub(crate) fn cut_off_for_an_hour(&mut self) -> Result<(), String> {
        for step in 0..CALM_STEPS {
            self.step(step, false)?;
        }
        self.to_start += STARTS;
        let Some(agent) = self.busy_agent()? else { return Ok(()) };
        let (begin, until) = (self.now(), self.now().plus_ms(HOUR_MS));
        let held: Vec<TaskKey> = self.agents[agent].running().copied().collect();
        let told = self.agents[agent].told.len();
        let mut crash_at = self.random.random_bool(0.5).then(|| begin.plus_ms(self.random.random_range(1..CRASH_MS)));
        let crashes = crash_at.is_some();
        self.agents[agent].cut_until = until;
        self.story.hours_cut_off += 1;
        self.longest_step_ms = HOUR_STEP_MS;
        let mut step = 0;
        while self.now() < until {
            step += 1;
            self.to_start += usize::from(step % START_EVERY == 0);
            self.step(step, false)?;
            if crash_at.take_if(|at| *at <= self.now()).is_some() {
                let back = self.now().plus_ms(self.random.random_range(1..CRASH_MS));
                self.agents[agent].crash(back);
            }
            if self.now().ms_since(begin) > LEASE_MS + 2 * HOUR_STEP_MS {
                self.is_given_up(agent)?;
            }
            // What a crash left to begin again begins within its time away.
            let over = TIMEOUT_SECONDS * 1_000 + HOUR_STEP_MS + if crashes { 2 * CRASH_MS } else { 0 };
            if self.now().ms_since(begin) > over
                && let Some(key) = self.agents[agent].running().next()
            {
                return Err(format!("task {} runs longer than it may on an agent that is cut off", key.task_id));
            }
        }
        self.longest_step_ms = STEP_MS;
        self.all_is_told(agent)?;
        // What it is given once it is back may end first.
        let ended = self.agents[agent].told[told..].iter().copied().filter(|at| *at < until);
        let arrived: Vec<Timestamp> = ended.collect();
        if !crashes && arrived.len() < held.len() {
            return Err(format!("an agent came back after an hour with {} tasks and told of {}", held.len(), arrived.len()));
        }
        if !arrived.is_sorted() {
            return Err(format!("what came of tasks in an hour arrived in another order: {arrived:?}"));
        }
        Ok(())
    }

    /// An agent that can be reached and has a task; `None` = none had any for long.
    fn busy_agent(&mut self) -> Result<Option<usize>, String> {
        for step in 0..STEPS_MAX {
            self.step(step, false)?;
            let now = self.now();
            let busy = self.agents.iter().position(|agent| agent.is_reachable(now) && agent.running().next().is_some());
            if busy.is_some() {
                return Ok(busy);
            }
        }
        Ok(None)
    }

    /// Nothing waits for an agent whose lease has ended.
    fn is_given_up(&self, agent: usize) -> Result<(), String> {
        let id = &self.agents[agent].id;
        let work = self.store.open_work().map_err(|error| error.to_string())?;
        let waits = work.tasks.iter().find(|task| task.agent.as_ref().is_some_and(|part| part.assigned.as_ref() == Some(id)));
        match waits {
            Some(task) => Err(format!("task {} still waits for {id}, which nobody has heard of for long", task.id)),
            None => Ok(()),
        }
    }

    /// The agent is back, and the manager has dealt with everything that it had to say.
    fn all_is_told(&mut self, agent: usize) -> Result<(), String> {
        for step in 0..STEPS_MAX {
            self.step(step, false)?;
            let now = self.now();
            let told = self.agents[agent].is_reachable(now) && self.agents[agent].untold() == 0;
            if told && self.unsettled.is_empty() {
                return Ok(());
            }
        }
        Err(format!("{} results of an agent that is back after an hour are not told", self.agents[agent].untold()))
    }
}
