//! Memory that is not needed any more.

/// Gives freed memory back to the system, which the C library would keep for the next flood. Takes well under a
/// millisecond; for moments when nothing runs.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "neither std nor nix has this call")]
pub fn give_back() {
    // SAFETY: the call only returns free pages of the heap to the system.
    unsafe { nix::libc::malloc_trim(0) };
}

/// Other C libraries give it back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
