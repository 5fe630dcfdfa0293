//! What goes wrong: clocks, agents, the network, the broker, the disk, and the manager itself.

use rand::Rng;

use crate::manager::Manager;
use crate::simulation::World;
use crate::wire::Packet;

/// Batches that fail while the disk is full: all of them.
const ALL: usize = usize::MAX;

impl World {
    /// Lets something go wrong; true = the store fails in this step, or the manager is a new one.
    ///
    /// # Errors
    /// When a new manager cannot begin.
    pub(crate) fn faults(&mut self) -> Result<bool, String> {
        self.clock_steps();
        self.agents_fail();
        self.broker_comes_and_goes();
        let failing = self.disk_fails();
        if self.random.random_bool(0.01) {
            if self.random.random_bool(0.5) {
                // What it was told last is decided and stored, and nobody hears of it.
                self.manager.round();
            }
            self.manager_crashes()?;
            return Ok(true);
        }
        Ok(failing)
    }

    /// No fault goes on.
    pub(crate) fn calm_down(&mut self) {
        let now = self.now();
        self.store.fail_next_batches(0);
        self.disk_full_until = now;
        if self.broker_away_until > now {
            self.broker_away_until = now;
        }
    }

    fn clock_steps(&mut self) {
        if !self.random.random_bool(0.01) {
            return;
        }
        let ms = self.random.random_range(-3_000..20_000);
        let before = self.now();
        self.set_clock(ms);
        self.seen.clock_was_set(before, self.now());
        self.wire.shift(ms);
        self.agents.iter_mut().for_each(|agent| agent.shift(ms));
        self.workers.iter_mut().for_each(|worker| worker.shift(ms));
        self.broker_away_until = self.broker_away_until.plus_ms(ms);
        self.disk_full_until = self.disk_full_until.plus_ms(ms);
    }

    fn agents_fail(&mut self) {
        let now = self.now();
        for agent in &mut self.agents {
            if self.random.random_bool(0.004) {
                agent.crash(now.plus_ms(self.random.random_range(100..25_000)));
                self.story.agent_crashes += 1;
            }
            if self.random.random_bool(0.001) {
                agent.lose_journal(now.plus_ms(self.random.random_range(100..25_000)));
                self.story.journals_lost += 1;
            }
            if self.random.random_bool(0.004) {
                agent.cut_until = now.plus_ms(self.random.random_range(100..30_000));
            }
        }
        if self.random.random_bool(0.004) {
            let agent = self.random.random_range(0..self.agents.len());
            let force = self.random.random_bool(0.7);
            self.remove_agent(agent, force);
        }
    }

    fn broker_comes_and_goes(&mut self) {
        if self.random.random_bool(0.003) {
            self.broker_away_until = self.now().plus_ms(self.random.random_range(500..20_000));
            self.story.broker_failures += 1;
        }
    }

    /// One batch, or all of a time: the disk is full until somebody makes room.
    fn disk_fails(&mut self) -> bool {
        let now = self.now();
        if self.random.random_bool(0.003) {
            self.disk_full_until = now.plus_ms(self.random.random_range(300..3_000));
        }
        let once = self.random.random_bool(0.02);
        let full = self.disk_full_until > now;
        let batches = match (full, once) {
            (true, _) => ALL,
            (false, true) => self.random.random_range(1..4),
            (false, false) => 0,
        };
        self.store.fail_next_batches(batches);
        self.story.failed_batches += usize::from(batches > 0);
        batches > 0
    }

    /// A new life begins on what is stored. The broker gives it again what the last one did not acknowledge; what the last
    /// one had others do is heard of no more.
    fn manager_crashes(&mut self) -> Result<(), String> {
        self.store.fail_next_batches(0);
        self.story.lives += 1;
        self.manager = Manager::begin(&self.store, &self.clock, self.story.lives)?;
        self.broker_connected = true;
        let now = self.now();
        for (_, (from, event)) in std::mem::take(&mut self.unsettled) {
            self.wire.send(now.plus_ms(500), Packet::Event { from, event: Box::new(event) });
        }
        Ok(())
    }
}
