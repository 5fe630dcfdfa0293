//! Scripts in a helper process, the hostile ones above all.

mod hostile;
mod ordinary;

use conductor_script::{Evaluator, Launcher, Limits};

/// The helper process: this test program, started again for this one "test".
#[test]
#[ignore = "the helper process of the other tests"]
fn helper() {
    let _ = conductor_script::worker::run();
}

fn evaluator(limits: Limits) -> Evaluator {
    let launcher = Launcher::this_program(["helper", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    Evaluator::new(launcher, limits)
}
