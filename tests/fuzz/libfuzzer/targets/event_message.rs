#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    conductor_fuzz::event_message(bytes);
});
