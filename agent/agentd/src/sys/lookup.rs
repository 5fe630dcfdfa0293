//! Where the C library looks names of hosts and users up.
//!
//! A static program has the parts of glibc in it that read `/etc/hosts`, `/etc/passwd` and ask name servers. For whatever else
//! `/etc/nsswitch.conf` names, glibc would load a library of this host, which was built for another glibc: that ends the
//! process, in the middle of a lookup. So a static program keeps to what it has.

/// Keeps lookups inside the program, where it is a static one. To be called before the first lookup, while there is one thread.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
#[expect(unsafe_code, reason = "neither std nor nix has this call")]
pub fn keep_inside() {
    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const std::ffi::c_char, services: *const std::ffi::c_char) -> std::ffi::c_int;
    }
    for (database, services) in [(c"hosts", c"files dns"), (c"passwd", c"files"), (c"group", c"files"), (c"services", c"files")]
    {
        // SAFETY: both are constant and end with a zero byte; glibc copies what it keeps; there is no other thread yet.
        let refused = unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
        if refused != 0 {
            eprintln!("conductor-agent: lookups of {database:?} cannot be kept inside this program");
        }
    }
}

/// Other programs load what their host has.
#[cfg(not(all(target_env = "gnu", target_feature = "crt-static")))]
pub const fn keep_inside() {}
