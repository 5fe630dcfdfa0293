//! The manager's program; all of it lives in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The manager allocates and frees on several threads for each request, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    conductor_manager::cmd::main()
}
