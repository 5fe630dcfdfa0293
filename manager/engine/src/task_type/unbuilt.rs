//! Types that this version does not know: refused at registration.

use super::Behaviour;
use crate::plan::Kind;

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile: |compiler, node, step, _, _| {
        let path = format!("{}.type", compiler.node_path(node));
        compiler.fault(path, "is not known to this version", Some(step.task_type.as_str().to_owned()));
        Kind::Simple
    },
    schedule: |_, _| {},
    external: false,
    name: None,
};
