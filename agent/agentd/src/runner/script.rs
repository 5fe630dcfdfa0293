//! Plugins of mode `script`: a shell or Python script from the plugin or from the task's input.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::job::{Host, Job};
use super::oneshot::{Command, c_string};

/// Interpreters that may be asked for by name.
const INTERPRETERS: &[&str] = &["sh", "bash", "python3"];

/// What of a task's input says how to run the script; the rest is the script's own.
#[derive(Debug, Default, Deserialize)]
struct ScriptInput {
    /// The script's text.
    script: Option<String>,
    /// Or its file in the plugin.
    script_path: Option<String>,
    /// `sh`, `bash` or `python3`. Absent = its first line if that begins with `#!`, else by the file's ending, else `sh`.
    interpreter: Option<String>,
    /// Its arguments.
    #[serde(default)]
    args: Vec<Value>,
    /// Environment variables beside the usual ones.
    #[serde(default)]
    env: Map<String, Value>,
}

/// Puts the script where it can be run and says how.
pub(super) fn prepare(host: &Host, job: &Job, work: &Path) -> Result<Command, String> {
    let input: ScriptInput =
        serde_json::from_str(job.input.get()).map_err(|error| format!("the input is not one of a script: {error}"))?;
    let declared = job.described().and_then(|operation| operation.script.as_deref());
    let file = match (declared, &input.script, input.script_path.as_deref()) {
        (Some(path), _, _) | (None, None, Some(path)) => inside(&job.plugin.dir, path)?,
        (None, Some(text), None) => write_script(work, text)?,
        (None, Some(_), Some(_)) => return Err("the input has both 'script' and 'script_path'; give one".to_owned()),
        (None, None, None) => return Err("the input has no 'script' and no 'script_path'".to_owned()),
    };
    let args = input.args.iter().map(text_of);
    let env = input.env.iter().filter(|(name, _)| !name.starts_with("CONDUCTOR_") && !name.contains('='));
    let env = env.map(|(name, value)| (name.clone(), text_of(value))).collect();
    let mut command = match interpreter(&file, input.interpreter.as_deref())? {
        Some(name) => {
            let program = find_program(&host.folders.bin(), name)?;
            Command { program: c_string(program.as_os_str().as_bytes())?, args: vec![c_string(name)?, c_file(&file)?], env }
        }
        None => Command { program: c_file(&file)?, args: vec![c_file(&file)?], env },
    };
    for arg in args {
        command.args.push(c_string(arg)?);
    }
    Ok(command)
}

fn c_file(file: &Path) -> Result<std::ffi::CString, String> {
    c_string(file.as_os_str().as_bytes())
}

/// Values as a script wants to see them: texts bare, everything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn inside(dir: &Path, path: &str) -> Result<PathBuf, String> {
    let relative = Path::new(path);
    if path.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("the script's path {path:?} does not lead to a file inside the plugin"));
    }
    let file = dir.join(relative);
    if file.is_file() { Ok(file) } else { Err(format!("the plugin has no file {path:?}")) }
}

fn write_script(work: &Path, text: &str) -> Result<PathBuf, String> {
    let file = work.join(".script");
    let write = || {
        let mut open = fs::OpenOptions::new();
        let mut out = open.write(true).create(true).truncate(true).mode(0o700).open(&file)?;
        std::io::Write::write_all(&mut out, text.as_bytes())
    };
    write().map_err(|error: std::io::Error| format!("cannot write the script to {}: {error}", file.display()))?;
    Ok(file)
}

/// The interpreter to run the file with; `None` = the file says it itself.
fn interpreter(file: &Path, asked: Option<&str>) -> Result<Option<&'static str>, String> {
    if let Some(asked) = asked {
        let known = INTERPRETERS.iter().find(|name| **name == asked);
        return known
            .map(|name| Some(*name))
            .ok_or_else(|| format!("the interpreter {asked:?} is not known; allowed are {}", INTERPRETERS.join(", ")));
    }
    let mut start = [0; 2];
    let read = fs::File::open(file).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    if read.is_ok() && &start == b"#!" {
        return Ok(None);
    }
    Ok(Some(if file.extension().is_some_and(|ending| ending == "py") { "python3" } else { "sh" }))
}

fn find_program(bin: &Path, name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::iter::once(bin.to_owned())
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("this host has no {name}"))
}
