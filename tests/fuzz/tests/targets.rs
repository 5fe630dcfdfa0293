//! Every target stands its seeds and a bounded number of changes of them. `make fuzz` looks further.

#![expect(clippy::unwrap_used, reason = "this program is nothing but tests; its helpers may fail like they do")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conductor_fuzz::{TARGETS, Target};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Changed inputs of each target.
const CHANGES: usize = 1_500;
/// A target is left after this time, so that slow ones do not hold up the rest; it has stood its seeds by then.
const TARGET_MS_MAX: u64 = 6_000;
/// Longest time for one input. What takes longer would hold up a manager.
const INPUT_MS_MAX: u64 = 5_000;
/// Longest changed input in bytes.
const INPUT_BYTES_MAX: usize = 16 * 1024;
/// Bytes that mean something in one language or another.
const MARKS: &[u8] = b"{}[]()\"'\\/.,:;$*?-+ 0\n\0\xff";
/// The same changes every time.
const SEED: u64 = 20_260_101;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The seeds of a target, by name.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = here().join("seeds").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "target {} has no seeds", target.name);
    seeds
}

/// Runs an input, and says where it lies when the target does not stand it. Whether the parser took it.
fn play(target: &Target, from: &str, input: &[u8]) -> bool {
    let started = Instant::now();
    let stood = catch_unwind(|| (target.run)(input));
    let slow = started.elapsed() > Duration::from_millis(INPUT_MS_MAX);
    if let (Ok(taken), false) = (stood, slow) {
        return taken;
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-fault", target.name));
    fs::write(&kept, input).unwrap();
    let what = if slow { "takes too long over" } else { "does not stand" };
    panic!(
        "target {} {what} a change of {from}, kept in {}: {:?}",
        target.name,
        kept.display(),
        String::from_utf8_lossy(input)
    );
}

/// One to four small changes.
fn change(random: &mut StdRng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=input.len());
        let until = (at + random.random_range(0..=8)).min(input.len());
        match random.random_range(0..8) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = random.random(),
            2 => drop(input.drain(at..until)),
            3 => {
                let again = input[at..until].repeat(random.random_range(1..40));
                input.splice(at..at, again);
            }
            4 => input.insert(at, MARKS[random.random_range(0..MARKS.len())]),
            5 => input.truncate(at),
            6 if !other.is_empty() => {
                let from = random.random_range(0..other.len());
                let piece = &other[from..(from + random.random_range(1..32)).min(other.len())];
                input.splice(at..until, piece.iter().copied());
            }
            _ => {
                let number: &[u8] = match random.random_range(0..5) {
                    0 => b"-1",
                    1 => b"9223372036854775807",
                    2 => b"1e999",
                    3 => b"0.1",
                    _ => b"4294967296",
                };
                input.splice(at..until, number.iter().copied());
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
}

fn stands_seeds_and_changes(target: &Target) {
    let seeds = seeds(target);
    // A target that takes nothing tries nothing.
    let taken: Vec<_> = seeds.iter().filter(|(name, input)| play(target, name, input)).map(|(name, _)| name).collect();
    assert!(!taken.is_empty(), "target {} takes none of its seeds", target.name);
    let mut random = StdRng::seed_from_u64(SEED);
    let started = Instant::now();
    for _ in 0..CHANGES {
        if started.elapsed() > Duration::from_millis(TARGET_MS_MAX) {
            return;
        }
        let (name, input) = &seeds[random.random_range(0..seeds.len())];
        let (_, other) = &seeds[random.random_range(0..seeds.len())];
        let mut input = input.clone();
        change(&mut random, &mut input, other);
        play(target, name, &input);
    }
}

macro_rules! targets {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                let target = TARGETS.iter().find(|target| target.name == stringify!($name)).unwrap();
                stands_seeds_and_changes(target);
            }
        )*

        const TESTED: &[&str] = &[$(stringify!($name),)*];
    };
}

targets! {
    agent_settings,
    archive,
    broker_url,
    cron,
    ctx_request,
    event_handler,
    event_message,
    event_source,
    event_stream,
    expression,
    file_key,
    from_agent,
    from_runner,
    from_script_helper,
    host_policy,
    journal,
    manifest,
    moment,
    name,
    plugin_event,
    range,
    request_body,
    runner_frames,
    schema,
    search,
    selector,
    settings,
    size,
    tar,
    task_definition,
    to_agent,
    to_runner,
    to_script_helper,
    workflow_definition,
}

#[test]
fn every_target_is_tested_here_and_has_its_program_for_libfuzzer() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
    let manifest = fs::read_to_string(here().join("libfuzzer/Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "libfuzzer/Cargo.toml does not name {name}");
        let program = fs::read_to_string(here().join(format!("libfuzzer/targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("conductor_fuzz::{name}(")), "{program}");
    }
    for folder in ["seeds", "libfuzzer/targets"] {
        assert_eq!(fs::read_dir(here().join(folder)).unwrap().count(), names.len(), "{folder}");
    }
}
