//! `conductor-agent drain` and `undrain`.

use std::path::PathBuf;

use super::{Exit, fail};
use crate::settings::Settings;
use crate::{hold, instance};

/// Where the agent is.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Where the agent keeps everything
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file [default: /etc/conductor/agent.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The options that name it, to be told behind a command.
    fn options(&self) -> String {
        let named = [("--data-dir", &self.data_dir), ("--config", &self.config)];
        named.iter().filter_map(|(option, path)| Some(format!(" {option} {}", path.as_ref()?.display()))).collect()
    }
}

/// Has the agent of this host be given nothing new; what it has goes on.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Why, for people; shown by `conductor agents`
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn begin(arguments: Arguments) -> Exit {
    let length = arguments.reason.chars().count();
    if length > hold::REASON_CHARS_MAX {
        eprintln!("conductor-agent: the reason has {length} characters; at most {} are told", hold::REASON_CHARS_MAX);
        return Exit::Usage;
    }
    let options = arguments.place.options();
    let dir = match data_dir(arguments.place) {
        Ok(dir) => dir,
        Err(exit) => return exit,
    };
    match hold::begin(&dir, &arguments.reason) {
        Ok(()) => {
            eprintln!(
                "this host is given nothing new from the next lease on, also after a restart; `conductor-agent undrain{options}` ends that"
            );
            Exit::Done
        }
        Err(error) => refused("begin", &dir, &error),
    }
}

pub(super) fn end(place: Place) -> Exit {
    let dir = match data_dir(place) {
        Ok(dir) => dir,
        Err(exit) => return exit,
    };
    match hold::end(&dir) {
        Ok(true) => eprintln!("this host takes tasks again from the next lease on"),
        Ok(false) => eprintln!("this host was not drained"),
        Err(error) => return refused("end", &dir, &error),
    }
    Exit::Done
}

fn data_dir(place: Place) -> Result<PathBuf, Exit> {
    let loader = instance::loader(place.config, place.data_dir);
    loader.load::<Settings>().map(|loaded| loaded.settings.data_dir).map_err(|error| fail(&error))
}

fn refused(what: &str, dir: &std::path::Path, error: &std::io::Error) -> Exit {
    eprintln!("conductor-agent: cannot {what} the drain in {}: {error}; root and the agent's own user may", dir.display());
    Exit::Failed
}
