//! Writes manual pages and shell completions of the three programs into `FOLDER/man` and `FOLDER/completions`.

use std::io::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate_to};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: conductor-manuals FOLDER");
        return ExitCode::from(2);
    };
    let programs =
        [(conductor_manager::cmd::command(), "8"), (conductor_agent::cmd::command(), "8"), (conductor_cli::command(), "1")];
    for (command, section) in programs {
        if let Err(error) = write(command, section, &folder) {
            eprintln!("conductor-manuals: {} cannot be written: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(mut command: Command, section: &str, folder: &Path) -> Result<(), Error> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, &name, &completions)?;
    }
    // One page for the whole program: its commands follow one another, so that a search within the page finds everything.
    command.build();
    let mut page = Vec::new();
    let manual = clap_mangen::Man::new(command.clone()).section(section);
    manual.render(&mut page)?;
    render_commands(&command, &mut page)?;
    std::fs::write(man.join(format!("{name}.{section}")), page)
}

fn render_commands(command: &Command, page: &mut Vec<u8>) -> Result<(), Error> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = sub.get_bin_name().unwrap_or_else(|| sub.get_name()).to_uppercase();
        page.extend(format!(".SH \"{name}\"\n").bytes());
        let manual = clap_mangen::Man::new(sub.clone());
        let mut body = Vec::new();
        manual.render_description_section(&mut body)?;
        manual.render_synopsis_section(&mut body)?;
        if sub.get_arguments().any(|argument| !argument.is_hide_set()) {
            manual.render_options_section(&mut body)?;
        }
        // Sections of the command become parts of the section that it is here.
        let body = String::from_utf8_lossy(&body).replace(".SH ", ".SS ");
        page.extend(body.bytes());
        render_commands(sub, page)?;
    }
    Ok(())
}
