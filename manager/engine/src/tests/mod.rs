//! Stories on virtual time. After every decision the harness stores what it says, as a store would, and checks that the
//! run in memory and a run loaded from the stored records agree.

mod harness;
mod linear;
