//! HUMAN: waits until somebody updates it.

use super::{Behaviour, Role};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    begin: |turn, ix| turn.wait_for_update(ix),
    completes_outside: true,
    asks: |_| true,
    ..Behaviour::base(Role::System, Some("HUMAN"))
};
