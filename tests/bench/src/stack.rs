//! The development stack that is measured: broker, manager, agents.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use conductor_client::Client;
use serde::Deserialize;

use crate::args::Args;
use crate::error::BenchError;
use crate::process::{Program, Seen, tree};

/// How many agents there are.
pub const AGENTS: u32 = 2;
/// How many tasks each runs at once unless the command line says otherwise.
pub const SLOTS: u32 = 64;

/// Longest start: RabbitMQ takes some seconds, more on a machine with other work.
const START_MAX: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the stack writes once everything answers.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// Base address of the API.
    pub api: String,
    /// Token for it.
    pub token: String,
    /// The broker's address.
    pub amqp: String,
    /// The agents' ids.
    pub agents: Vec<String>,
}

/// A running stack; ended when this is dropped.
#[derive(Debug)]
pub struct Stack {
    program: Program,
    /// Where it is.
    pub ready: Ready,
    /// A client of its manager.
    pub client: Client,
}

/// Which part of the stack a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Manager.
    Manager,
    /// Agent; its processor time includes that of the plugins it waited for.
    Agent,
    /// RabbitMQ.
    Broker,
}

impl Stack {
    /// Brings a stack with so many agents up below `dir`.
    ///
    /// # Errors
    /// When it ends or does not answer in time.
    pub async fn start(args: &Args, dir: &Path, agents: u32) -> Result<Self, BenchError> {
        let ready_file = dir.join("ready.json");
        let mut command = Command::new(&args.manager);
        command.arg("dev").arg("--data-dir").arg(dir.join("dev")).args(["--listen", "127.0.0.1:0"]);
        command.arg("--agents").arg(agents.to_string()).arg("--slots").arg(args.slots.to_string());
        command.arg("--ready-file").arg(&ready_file).arg("--agent-binary").arg(&args.agent);
        let mut program = Program::start("the development stack", &mut command, &dir.join("dev.log"))?;
        let ready = wait_ready(&mut program, &ready_file).await?;
        if ready.agents.len() != agents as usize {
            let reason = format!("it names {} agents, {agents} were asked for", ready.agents.len());
            return Err(BenchError::Shape { what: "the ready file", reason });
        }
        let client = Client::new(&ready.api, Some(&ready.token)).map_err(BenchError::client("making a client"))?;
        Ok(Self { program, ready, client })
    }

    /// Fails when the stack has ended.
    ///
    /// # Errors
    /// With the end of its output.
    pub fn check(&mut self) -> Result<(), BenchError> {
        self.program.check()
    }

    /// Its processes of one kind.
    #[must_use]
    pub fn processes(&self, part: Part) -> Vec<Seen> {
        let all = tree(self.program.pid());
        all.into_iter().filter(|process| part_of(process) == Some(part)).collect()
    }

    /// Processor time of one part so far, in µs.
    #[must_use]
    pub fn cpu_us(&self, part: Part) -> f64 {
        self.processes(part).iter().map(|process| process.cpu_us).sum()
    }
}

fn part_of(process: &Seen) -> Option<Part> {
    match process.name.as_str() {
        name if name.starts_with("conductor-manag") => Some(Part::Manager),
        name if name.starts_with("conductor-agent") => Some(Part::Agent),
        name if name.starts_with("beam") => Some(Part::Broker),
        _ => None,
    }
}

async fn wait_ready(program: &mut Program, file: &PathBuf) -> Result<Ready, BenchError> {
    let end = Instant::now() + START_MAX;
    loop {
        if let Ok(text) = std::fs::read(file)
            && let Ok(ready) = serde_json::from_slice(&text)
        {
            return Ok(ready);
        }
        program.check()?;
        if Instant::now() >= end {
            let detail = format!("; its last lines:\n{}", program.log_tail());
            return Err(BenchError::Late { what: "the start of the stack".to_owned(), limit: START_MAX, detail });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
