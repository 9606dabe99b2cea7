#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = rdb_hostile::header(bytes);
});
