//! Scripts and `ctx`.

use std::rc::Rc;

use conductor_agent::runner::Plugin;
use conductor_model::{LogStream, Outcome};
use serde_json::{Value, json};

use crate::rig::{Ended, How, Rig, folder, on_a_host};

fn scripts() -> (tempfile::TempDir, Rc<Plugin>) {
    let (dir, path) = folder();
    let manifest = "name: scripts\nversion: 1\nmode: script\noperations:\n  run: {}\n  file: {script: bin/file.py}\n";
    std::fs::write(path.join("plugin.yaml"), manifest).unwrap();
    std::fs::create_dir(path.join("bin")).unwrap();
    let file = path.join("bin/file.py");
    std::fs::write(&file, "import sys\nprint('python', *sys.argv[1:])\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let plugin = conductor_agent::plugins::load(&path, "scripts").unwrap();
    (dir, Rc::new(plugin))
}

async fn run(rig: &Rc<Rig>, input: Value) -> Ended {
    let (_dir, plugin) = scripts();
    rig.run_how(&plugin, "run", How { input, ..How::default() }).await
}

#[test]
fn a_script_reads_and_writes_through_ctx() {
    on_a_host(|rig| async move {
        let script = r#"
            set -e
            ctx instance runtime-properties port 8080
            ctx instance runtime-properties site.url http://localhost
            ctx instance runtime-properties site
            ctx instance runtime-properties site.url
            ctx instance id
            ctx task input greeting
            ctx node properties color
            ctx output list '[1, 2]'
            ctx output text hello
            ctx progress 40 nearly half
            ctx logger warn "take care"
            ctx host-ip > /dev/null
        "#;
        let input = json!({ "script": script, "greeting": "good day", "node_properties": { "color": "red" } });
        let ended = run(&rig, input).await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded, "{:?}", ended.ears.lines);
        let printed = ended.lines(LogStream::Stdout);
        assert_eq!(printed, [r#"{"url":"http://localhost"}"#, "http://localhost", "agent-1", "good day", "red"]);
        assert_eq!(json!(ended.output), json!({ "list": [1, 2], "text": "hello" }));
        assert_eq!(ended.lines(LogStream::Event), ["warn: take care"]);
        assert_eq!(*ended.ears.progress.borrow(), [Some(40.0)]);
        let stored = rig.host.manager.properties("agent-1").await.unwrap();
        assert_eq!(json!(stored), json!({ "port": 8080, "site": { "url": "http://localhost" } }));
    });
}

#[test]
fn ctx_says_what_is_wrong_and_exits_with_one() {
    on_a_host(|rig| async move {
        let ended = run(&rig, json!({ "script": "ctx instance runtime-properties nothing; echo $?" })).await;
        assert_eq!(ended.lines(LogStream::Stdout), ["1"]);
        assert!(ended.lines(LogStream::Stderr)[0].contains("there is no runtime property \"nothing\""));
    });
}

#[test]
fn abort_retry_and_not_needed_decide_the_outcome() {
    on_a_host(|rig| async move {
        for (command, outcome) in [
            ("ctx abort no way", Outcome::FailedTerminally),
            ("ctx retry in a moment", Outcome::Failed),
            ("ctx not-needed all there", Outcome::NotNeeded),
        ] {
            let ended = run(&rig, json!({ "script": command })).await;
            assert_eq!(ended.ending.outcome, outcome, "{command}");
        }
    });
}

#[test]
fn ctx_is_nobody_once_its_task_is_over() {
    on_a_host(|rig| async move {
        let ended = run(&rig, json!({ "script": "env | grep ^CONDUCTOR_CTX" })).await;
        let output = tokio::task::spawn_blocking({
            let variables = ended.lines(LogStream::Stdout);
            let ctx = rig.host.folders.bin().join("ctx");
            move || {
                let pairs = variables.iter().filter_map(|line| line.split_once('='));
                std::process::Command::new(ctx).args(["instance", "id"]).envs(pairs).output().unwrap()
            }
        });
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("is over"));
    });
}

#[test]
fn scripts_choose_their_interpreter_and_get_arguments_and_variables() {
    on_a_host(|rig| async move {
        let (_dir, plugin) = scripts();
        let how = How { input: json!({ "args": ["a b", 3] }), ..How::default() };
        let ended = rig.run_how(&plugin, "file", how).await;
        assert_eq!(ended.lines(LogStream::Stdout), ["python a b 3"]);
        let ended = run(&rig, json!({ "script": "#!/bin/sh\necho $NAME $1", "args": ["x"], "env": { "NAME": "n" } })).await;
        assert_eq!(ended.lines(LogStream::Stdout), ["n x"]);
        let ended = run(&rig, json!({ "script": "print(1 + 1)", "interpreter": "python3" })).await;
        assert_eq!(ended.lines(LogStream::Stdout), ["2"]);
    });
}

#[test]
fn inputs_that_are_no_scripts_are_refused() {
    on_a_host(|rig| async move {
        for (input, word) in [
            (json!({}), "no 'script'"),
            (json!({ "script_path": "../../etc/passwd" }), "inside the plugin"),
            (json!({ "script": "x", "interpreter": "perl" }), "not known"),
        ] {
            let ended = run(&rig, input).await;
            assert_eq!(ended.ending.outcome, Outcome::FailedTerminally);
            assert!(ended.reason().contains(word), "{}", ended.reason());
        }
    });
}
