//! NOOP: does nothing.

use super::{Behaviour, Role};

pub(super) const BEHAVIOUR: Behaviour = Behaviour::base(Role::System, Some("NOOP"));
