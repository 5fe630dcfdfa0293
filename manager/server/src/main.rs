//! The manager's program; all of it lives in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The manager allocates and frees on several threads for each request, which the C library's allocator is slow at. Without
/// huge pages, of which one may hold little: they made it half as large again and no faster.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    conductor_manager::cmd::main()
}
