//! `conductor-manager config check`.

use std::io::{self, Write};

use clap::Subcommand;
use conductor_boot::SettingLine;

use super::{Exit, fail, serve};
use crate::config;

/// Flags of `config`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the effective settings with the origin of each, secrets hidden; fail where they cannot be used
    Check(serve::Arguments),
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let Command::Check(arguments) = arguments.command;
    let loaded = match config::load(&arguments.flags()) {
        Ok(loaded) => loaded,
        Err(error) => return fail(Exit::Settings, &error),
    };
    match print(&config::effective(&loaded), &mut io::stdout().lock()) {
        Ok(()) => Exit::Done,
        Err(error) => fail(Exit::Failed, &error),
    }
}

fn print(lines: &[SettingLine], out: &mut dyn Write) -> io::Result<()> {
    let text = |line: &SettingLine| match line.value.as_str() {
        "" => format!("{} is not set", line.key),
        value => format!("{} = {value}", line.key),
    };
    let width = lines.iter().map(|line| text(line).chars().count()).max().unwrap_or(0);
    for line in lines {
        writeln!(out, "{:width$}  # {}", text(line), line.origin)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_shows_its_origin() {
        let line = |key: &str, value: &str, origin: &str| SettingLine {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        };
        let mut out = Vec::new();
        print(&[line("a", "1", "default"), line("store.path", "", "default")], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a = 1                  # default\nstore.path is not set  # default\n");
    }
}
