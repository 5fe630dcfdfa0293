//! The helper process: reads scripts from its standard input, a socket, and answers on the same.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use serde_json::Value;

use crate::jq::Jq;
use crate::wire::{self, Reply, Request};
use crate::{Language, Limits, ScriptError, javascript};

/// Stack of the thread that evaluates. jq recurses on it.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// What the helper itself may need beside the memory of a script: input, source and result in more than one form.
const OWN_BYTES: u64 = 192 * 1024 * 1024;
/// Evaluates until the owner closes. A program that uses [`crate::Launcher`] calls this first thing when it is started with
/// the launcher's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let worker = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK_BYTES).spawn(serve);
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => {
            eprintln!("script helper: {error}");
            ExitCode::FAILURE
        }
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let mut owner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut jq = Jq::default();
    let base = address_space();
    let mut confined = 0;
    // No core files of inputs.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    while let Some(request) = wire::read::<Request>(&mut owner)? {
        if confined != request.limits.memory_bytes {
            confine_memory(base, &request.limits)?;
            confined = request.limits.memory_bytes;
        }
        confine_cpu(&request.limits)?;
        wire::write(&mut owner, &perform(&mut jq, &request))?;
    }
    Ok(())
}

fn perform(jq: &mut Jq, request: &Request) -> Reply {
    let Request { language, source, only_check, input, limits } = request;
    if source.len() > limits.source_bytes {
        return Err(ScriptError::SourceTooLong { bytes: source.len() as u64, limit_bytes: limits.source_bytes as u64 });
    }
    let body = *language == Language::JavaScriptBody;
    match (language, only_check) {
        (Language::JavaScript | Language::JavaScriptBody, false) => javascript::evaluate(source, body, input.get(), limits),
        (Language::JavaScript | Language::JavaScriptBody, true) => {
            javascript::check(source, body, limits).map(|()| Value::Null)
        }
        (Language::Jq, false) => jq.evaluate(source, input.get(), limits),
        (Language::Jq, true) => jq.check(source).map(|()| Value::Null),
    }
}

/// Bytes of address space in use. `None` where the kernel does not say.
fn address_space() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().next()?.parse().ok()?;
    // Counted in pages of at least 4 KiB; larger pages only make the bound wider.
    pages.checked_mul(4096)
}

/// From now on the kernel refuses more memory. An allocation that fails ends the helper.
fn confine_memory(base: Option<u64>, limits: &Limits) -> io::Result<()> {
    let base = base.unwrap_or(512 * 1024 * 1024);
    let bytes = base.saturating_add(limits.memory_bytes as u64).saturating_add(OWN_BYTES);
    // The hard bound stays open: a later script may come with other limits.
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    Ok(setrlimit(Resource::RLIMIT_AS, bytes.min(hard), hard)?)
}

/// The kernel ends the helper once it used the time of this script; it counts in whole seconds, so up to one more.
fn confine_cpu(limits: &Limits) -> io::Result<()> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let used = [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    let used = Duration::from_micros(u64::try_from(used.iter().sum::<i64>()).unwrap_or(0));
    let end = used.saturating_add(limits.cpu).saturating_add(Duration::from_millis(999)).as_secs().max(1);
    let (_, hard) = getrlimit(Resource::RLIMIT_CPU)?;
    Ok(setrlimit(Resource::RLIMIT_CPU, end.min(hard), hard)?)
}
