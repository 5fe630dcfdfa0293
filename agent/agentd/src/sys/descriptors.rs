//! Descriptors that this process was started with.

/// Flag of `close_range`: mark instead of close (linux/close_range.h).
const CLOSE_RANGE_CLOEXEC: nix::libc::c_uint = 4;
/// First descriptor behind the standard three.
const FIRST: nix::libc::c_uint = 3;

/// Keeps every descriptor but the standard three from the processes that this one starts, also those that whoever started
/// it forgot to close. Those that are opened later are marked as they are opened.
///
/// # Errors
/// On a kernel before 5.11.
#[expect(unsafe_code, reason = "neither std nor nix has this call")]
pub fn keep_private() -> std::io::Result<()> {
    // SAFETY: the call takes three numbers and touches no memory of this process; no descriptor is closed by it.
    let done = unsafe { nix::libc::syscall(nix::libc::SYS_close_range, FIRST, nix::libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
