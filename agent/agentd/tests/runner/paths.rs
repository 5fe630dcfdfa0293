//! What a host's policy says of paths, the kernel holds plugins to.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use conductor_agent::runner::Plugin;
use conductor_agent::sys::confine::can_limit_paths;
use conductor_model::{LogStream, Outcome};
use serde_json::json;

use crate::rig::{How, Rig, folder, on_a_host};

/// What a shell needs to start.
const SYSTEM: &str = r#"["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.preload"]"#;

/// A persistent plugin that says whether it can write where it is told to.
const PERSISTENT: &str = r#"#!/usr/bin/env python3
import json, os, sys
events = os.fdopen(3, "w", buffering=1)
for line in sys.stdin:
    task = json.loads(line)
    try:
        open(task["input"]["path"], "w").close()
        written = True
    except OSError:
        written = False
    print(json.dumps({"type": "output", "values": {"written": written}}), file=events)
    print(json.dumps({"type": "done", "task_id": task["task_id"], "success": True}), file=events)
"#;

/// A place with a folder that is allowed, one that is not, and a secret.
fn place() -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = folder();
    for name in ["allowed", "other"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    std::fs::write(path.join("other/secret"), "hunter2").unwrap();
    (dir, path)
}

fn shell(place: &Path) -> Rc<Plugin> {
    let dir = place.join("plugin");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("plugin.yaml"), "name: a\nversion: 1.0.0\nmode: script\noperations: {x: {}}\n").unwrap();
    Rc::new(conductor_agent::plugins::load(&dir, "a").unwrap())
}

fn set_policy(rig: &Rig, text: &str) {
    std::fs::write(rig.host.folders.data.join("policy.toml"), text).unwrap();
}

/// Runs a script under a policy: what it printed.
async fn lines_of(rig: &Rc<Rig>, place: &Path, policy: &str, script: String) -> Vec<String> {
    set_policy(rig, policy);
    let how = How { input: json!({ "script": script }), ..How::default() };
    rig.run_how(&shell(place), "x", how).await.lines(LogStream::Stdout)
}

/// Whether this kernel can do it; where it cannot, tasks must be refused, which the last story sees.
fn kernel_cannot() -> bool {
    !can_limit_paths()
}

#[test]
fn a_plugin_writes_where_the_policy_lets_it_and_where_its_task_lives() {
    if kernel_cannot() {
        return;
    }
    on_a_host(|rig| async move {
        let (_dir, place) = place();
        let at = place.display();
        let script = format!(
            "exec 2>&1
            echo x > {at}/allowed/file && echo allowed
            echo x > {at}/other/file || echo not there
            setsid sh -c 'echo x > {at}/other/file' || echo nor by way of a child
            cat {at}/other/secret; echo
            echo x > here && echo work
            echo x > $CONDUCTOR_STATE_DIR/kept && echo state
            echo x > /dev/null && echo nothing
            ctx instance id && echo ctx"
        );
        let lines = lines_of(&rig, &place, &format!("[paths]\nwrite = ['{at}/allowed']\n"), script).await;
        for expected in ["allowed", "not there", "nor by way of a child", "hunter2", "work", "state", "nothing", "ctx"] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
        }
        assert!(place.join("allowed/file").exists());
        assert!(!place.join("other/file").exists());
    });
}

#[test]
fn a_plugin_reads_nothing_but_what_the_policy_names_and_itself() {
    if kernel_cannot() {
        return;
    }
    on_a_host(|rig| async move {
        let (_dir, place) = place();
        let at = place.display();
        let script = format!(
            "exec 2>&1
            cat {at}/other/secret || echo not read
            cat $CONDUCTOR_PLUGIN_DIR/plugin.yaml
            echo x > {at}/allowed/file && cat {at}/allowed/file && echo both"
        );
        let policy = format!("[paths]\nread = {SYSTEM}\nwrite = ['{at}/allowed']\n");
        let lines = lines_of(&rig, &place, &policy, script).await;
        for expected in ["not read", "name: a", "both"] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:?}");
    });
}

#[test]
fn persistent_plugins_are_held_to_it_too_and_speak_as_before() {
    if kernel_cannot() {
        return;
    }
    on_a_host(|rig| async move {
        let (_dir, place) = place();
        let dir = place.join("plugin");
        std::fs::create_dir(&dir).unwrap();
        let manifest = "name: a\nversion: 1.0.0\nmode: persistent\nentrypoint: a.py\noperations: {x: {}}\n";
        std::fs::write(dir.join("plugin.yaml"), manifest).unwrap();
        std::fs::write(dir.join("a.py"), PERSISTENT).unwrap();
        std::fs::set_permissions(dir.join("a.py"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let plugin = Rc::new(conductor_agent::plugins::load(&dir, "a").unwrap());
        set_policy(&rig, &format!("[paths]\nwrite = ['{}/allowed']\n", place.display()));
        for (folder, may) in [("allowed", true), ("other", false)] {
            let how = How { input: json!({ "path": place.join(folder).join("file") }), ..How::default() };
            let ended = rig.run_how(&plugin, "x", how).await;
            assert_eq!(ended.ending.outcome, Outcome::Succeeded, "{}", ended.reason());
            assert_eq!(ended.output["written"], json!(may), "{folder}");
        }
        rig.host.pools.close();
    });
}

#[test]
fn a_program_that_cannot_be_started_says_so_under_limits_too() {
    on_a_host(|rig| async move {
        let (_dir, path) = folder();
        std::fs::write(path.join("plugin.yaml"), "name: a\nversion: 1\nentrypoint: a\noperations: {x: {}}\n").unwrap();
        std::fs::write(path.join("a"), "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(path.join("a"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let plugin = Rc::new(conductor_agent::plugins::load(&path, "a").unwrap());
        set_policy(&rig, "[paths]\nwrite = []\n");
        let ended = rig.run_how(&plugin, "x", How::default()).await;
        let (outcome, words) =
            if kernel_cannot() { (Outcome::Refused, "its kernel cannot") } else { (Outcome::Failed, "No such file") };
        assert_eq!(ended.ending.outcome, outcome);
        assert!(ended.reason().contains(words), "{}", ended.reason());
    });
}
