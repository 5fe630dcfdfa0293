//! The plugin `work`, whose operations leave traces: a line in a file for each beginning and each end. What ran twice is seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::plugin::pack_files;
use crate::wait::until;

const MANIFEST: &str = "\
name: work
version: 1.0.0
entrypoint: work.sh
operations:
  quick: {}
  gated: {}
  chatter: {}
  tell: {}
  fail: {}
  flaky: {}
  note: {}
  echo: {}
";

/// No process is started but the shell: hundreds of these run at once on a small machine.
const PROGRAM: &str = r#"#!/bin/sh
# Written by the end-to-end tests. Each run leaves lines in a file.
read -r task
text() { case "$task" in *"\"$1\":\""*) found=${task#*"\"$1\":\""}; found=${found%%\"*};; *) found=;; esac; }
number() { found=${task#*"\"$1\":"}; found=${found%%[,\}]*}; }
text reference; reference=$found
number attempt; attempt=$found
trace() { echo "$1 $2 $CONDUCTOR_TASK_ID $reference $attempt $CONDUCTOR_AGENT_ID $$" >> '@EFFECTS@'; }
trace begin "$1"
case "$1" in
  quick) ;;
  echo)
    echo "a line on standard output"
    echo "a line on standard error" >&2
    echo '{"type":"log","level":"warn","message":"a line by event"}' >&3
    echo '{"type":"progress","percent":50,"message":"half way"}' >&3 ;;
  gated)
    text gate; gate=$found
    while [ ! -e '@GATES@'"/$gate" ]; do sleep 0.05; done ;;
  chatter)
    text gate; gate=$found; number lines; lines=$found
    while [ ! -e '@GATES@'"/$gate" ]; do sleep 0.05; done
    n=0; while [ "$n" -lt "$lines" ]; do n=$((n + 1)); echo "line $n"; done ;;
  tell)
    text word; echo "out: $found"; echo "err: $found" >&2
    echo '{"type":"log","level":"warn","message":"event: '"$found"'"}' >&3
    echo '{"type":"progress","percent":50,"message":"half of '"$found"'"}' >&3
    [ "${#found}" = 12 ] || { echo "that is no secret of 12 letters" >&2; exit 1; } ;;
  flaky) if [ "$attempt" = 0 ]; then echo "not the first time" >&2; trace end "$1"; exit 1; fi ;;
  fail) echo '{"type":"error","class":"Broken","message":"it never works"}' >&3; trace end "$1"; exit 1 ;;
  note) text note; echo '{"type":"runtime_properties","values":{"note":"'"$found"'","by":"'"$reference"'"}}' >&3 ;;
esac
echo '{"type":"output","values":{"reference":"'"$reference"'","attempt":'"$attempt"',"agent":"'"$CONDUCTOR_AGENT_ID"'"}}' >&3
trace end "$1"
"#;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whether it is a beginning; else it is an end.
    pub begin: bool,
    /// The operation.
    pub operation: String,
    /// The task.
    pub task: String,
    /// The step's reference name.
    pub reference: String,
    /// Attempts made before.
    pub attempt: u32,
    /// The agent that it ran on.
    pub agent: String,
    /// The process that ran it.
    pub pid: i32,
}

/// What the operations of `work` did so far.
#[derive(Debug)]
pub struct Effects {
    file: PathBuf,
    gates: PathBuf,
}

impl Effects {
    /// Traces in this folder.
    ///
    /// # Panics
    /// When it cannot be used.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let gates = folder.join("gates");
        fs::create_dir_all(&gates).expect("a folder can be made");
        Self { file: folder.join("effects"), gates }
    }

    /// The plugin's archive.
    #[must_use]
    pub fn plugin(&self) -> Vec<u8> {
        let fill = |(mark, path): (&str, &Path), text: String| text.replace(mark, &path.display().to_string());
        let program = fill(("@EFFECTS@", &self.file), PROGRAM.to_owned());
        let program = fill(("@GATES@", &self.gates), program);
        pack_files(&[("plugin.yaml", MANIFEST, false), ("work.sh", &program, true)])
    }

    /// Lets the operations `gated` pass that wait at `gate`.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn open_gate(&self, gate: &str) {
        fs::write(self.gates.join(gate), "").expect("a gate can be opened");
    }

    /// Everything so far, in order. The last line counts when it ends: a reader may see one that crosses a page's end by half.
    ///
    /// # Panics
    /// When a line is broken.
    #[must_use]
    pub fn all(&self) -> Vec<Effect> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| parse(line).unwrap_or_else(|| panic!("not a line of effects: {line:?}"))).collect()
    }

    /// How often each task was begun.
    #[must_use]
    pub fn begun(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for effect in self.all().into_iter().filter(|effect| effect.begin) {
            *counts.entry(effect.task).or_default() += 1;
        }
        counts
    }

    /// Beginnings of one step over all attempts.
    #[must_use]
    pub fn beginnings_of(&self, reference: &str) -> Vec<Effect> {
        self.all().into_iter().filter(|effect| effect.begin && effect.reference == reference).collect()
    }

    /// Waits until a step was begun `times` times; the last beginning.
    ///
    /// # Panics
    /// At the deadline, and when it was begun more often.
    pub async fn wait_for(&self, reference: &str, times: usize, seconds: u64) -> Effect {
        until(&format!("{reference} was begun {times} times"), seconds, async || {
            let found = self.beginnings_of(reference);
            assert!(found.len() <= times, "{reference} was begun more often than expected: {found:?}");
            if found.len() < times { Err(found) } else { found.last().cloned().ok_or_else(Vec::new) }
        })
        .await
    }

    /// Fails when a task was begun more than once, unless `may_repeat` says that its step may.
    ///
    /// # Panics
    /// When one was.
    pub fn assert_nothing_ran_twice(&self, may_repeat: impl Fn(&Effect) -> bool) {
        let all = self.all();
        let twice: Vec<_> = self.begun().into_iter().filter(|(_, count)| *count > 1).collect();
        let wrong: Vec<_> =
            all.iter().filter(|effect| twice.iter().any(|(task, _)| *task == effect.task) && !may_repeat(effect)).collect();
        assert!(wrong.is_empty(), "ran a second time without leave: {wrong:#?}");
    }
}

fn parse(line: &str) -> Option<Effect> {
    let words: Vec<&str> = line.split(' ').collect();
    let [phase, operation, task, reference, attempt, agent, pid] = words.as_slice() else { return None };
    Some(Effect {
        begin: *phase == "begin",
        operation: (*operation).to_owned(),
        task: (*task).to_owned(),
        reference: (*reference).to_owned(),
        attempt: attempt.parse().ok()?,
        agent: (*agent).to_owned(),
        pid: pid.parse().ok()?,
    })
}
