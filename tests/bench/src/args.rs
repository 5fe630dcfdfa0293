//! What can be said on the command line.

use std::path::{Path, PathBuf};

use crate::error::BenchError;
use crate::stack::SLOTS;

/// Which programs are measured, and where things are put.
#[derive(Clone, Debug)]
pub struct Args {
    /// The manager's program.
    pub manager: PathBuf,
    /// The agent's program: the shipped, static one where it was built.
    pub agent: PathBuf,
    /// The no-op plugin's program.
    pub noop: PathBuf,
    /// Where the figures are written as JSON.
    pub out: PathBuf,
    /// How many tasks each agent runs at once.
    pub slots: u32,
    /// Below which folder the stack and databases lie while this runs. On the disk that is measured.
    pub work_dir: PathBuf,
    /// Only this part of the figures.
    pub only: Option<Half>,
}

/// A part of the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// What agents do, and the sizes.
    Agents,
    /// The engine, and what polling workers do.
    Workers,
}

impl Args {
    /// Reads the command line. Everything has a default beside this program.
    ///
    /// # Errors
    /// For an unknown word, and for a program that is not there.
    pub fn read() -> Result<Self, BenchError> {
        let exe = std::env::current_exe().map_err(BenchError::io("find this program's own path"))?;
        let beside = exe.parent().unwrap_or_else(|| Path::new(".")).to_owned();
        let (mut bin_dir, mut agent, mut out, mut work_dir, mut only) = (beside.clone(), None, None, None, None);
        let mut slots = SLOTS;
        let mut words = std::env::args_os().skip(1);
        while let Some(word) = words.next() {
            let mut value = || {
                let missing = || BenchError::Usage { reason: format!("{} needs a value", word.display()) };
                words.next().map(PathBuf::from).ok_or_else(missing)
            };
            match word.to_str() {
                Some("--bin-dir") => bin_dir = value()?,
                Some("--agent-binary") => agent = Some(value()?),
                Some("--out") => out = Some(value()?),
                Some("--slots") => slots = number(&value()?)?,
                Some("--work-dir") => work_dir = Some(value()?),
                Some("--only") => only = Some(half(&value()?)?),
                _ => return Err(BenchError::Usage { reason: format!("{} is not understood", word.display()) }),
            }
        }
        let target = beside.parent().unwrap_or(&beside);
        let args = Self {
            manager: absolute(&bin_dir.join("conductor-manager"))?,
            agent: absolute(&agent.unwrap_or_else(|| shipped_agent(&bin_dir)))?,
            noop: absolute(&beside.join("conductor-noop"))?,
            out: out.unwrap_or_else(|| target.join("bench.json")),
            slots,
            only,
            work_dir: absolute(&work_dir.unwrap_or_else(|| target.to_owned()))?,
        };
        for path in [&args.manager, &args.agent, &args.noop] {
            if !path.is_file() {
                return Err(BenchError::Missing { path: path.clone() });
            }
        }
        Ok(args)
    }
}

fn number(word: &Path) -> Result<u32, BenchError> {
    let number = word.to_str().and_then(|word| word.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| BenchError::Usage { reason: format!("{} is no number above 0", word.display()) })
}

fn half(word: &Path) -> Result<Half, BenchError> {
    match word.to_str() {
        Some("agents") => Ok(Half::Agents),
        Some("workers") => Ok(Half::Workers),
        _ => Err(BenchError::Usage { reason: format!("{} is neither `agents` nor `workers`", word.display()) }),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, BenchError> {
    std::path::absolute(path).map_err(BenchError::io(format!("work out the path {}", path.display())))
}

/// The agent as `cargo xtask dist` leaves it, or the one beside the manager.
fn shipped_agent(bin_dir: &Path) -> PathBuf {
    let shipped = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/conductor-agent"));
    if shipped.is_file() { shipped } else { bin_dir.join("conductor-agent") }
}
