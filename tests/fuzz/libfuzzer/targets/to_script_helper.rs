#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    conductor_fuzz::to_script_helper(bytes);
});
