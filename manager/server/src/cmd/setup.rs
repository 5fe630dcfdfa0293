//! `conductor-manager setup`.

use std::io::{self, Write};

use super::{Exit, block_on, fail};
use crate::setup::{self, Options, Outcome};

/// Flags of `setup`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port of the REST API
    #[arg(long, value_name = "PORT", default_value_t = 53333)]
    port: u16,
    /// The name or address by which hosts reach this one [default: that of the last setup, else this host's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// RabbitMQ is on another host; broker.url in /etc/conductor/manager.conf.d says where
    #[arg(long)]
    broker_elsewhere: bool,
    /// Write files only, start nothing
    #[arg(long)]
    no_start: bool,
}

pub(super) fn main(arguments: &Arguments) -> Exit {
    let options = Options {
        port: arguments.port,
        name: arguments.name.clone(),
        local_broker: !arguments.broker_elsewhere,
        start: !arguments.no_start,
    };
    block_on(async {
        match setup::run(&options).await {
            Ok(outcome) => match print(&outcome, &mut io::stdout().lock()) {
                Ok(()) => Exit::Done,
                Err(error) => fail(Exit::Failed, &error),
            },
            Err(error) => fail(Exit::Failed, &error),
        }
    })
}

fn print(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    for change in &outcome.changes {
        writeln!(out, "{change}")?;
    }
    if outcome.changes.is_empty() {
        writeln!(out, "everything is set up already; nothing was changed")?;
    }
    if let Some(token) = &outcome.admin_token {
        writeln!(out, "\nThe administrator's token, shown this once; only its hash is kept:\n  {token}\n")?;
        writeln!(out, "Use it on this host:\n  export CONDUCTOR_URL={} CONDUCTOR_TOKEN={token}", outcome.address)?;
        writeln!(out, "Let a host join with the line that this prints:\n  conductor agents token create")?;
    }
    for advice in &outcome.advice {
        writeln!(out, "to do: {advice}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_said_and_that_nothing_was() {
        let said = |outcome: &Outcome| {
            let mut out = Vec::new();
            print(outcome, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(said(&Outcome::default()).contains("nothing was changed"));
        let outcome =
            Outcome { changes: vec!["made x".to_owned()], admin_token: Some("cdt_1".to_owned()), ..Outcome::default() };
        assert!(said(&outcome).starts_with("made x\n") && said(&outcome).contains("\n  cdt_1\n"));
    }
}
