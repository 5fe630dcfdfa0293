//! A bounded number of seeds, and those that once failed.

/// Seeds played in every test run.
const SEEDS: u64 = 12;
/// Seeds that found something once.
const FOUND: [u64; 0] = [];

#[test]
fn every_seed_ends_with_everything_done_and_nothing_broken() {
    for seed in (1..=SEEDS).chain(FOUND) {
        if let Err(fault) = conductor_sim::run(seed) {
            panic!("seed {seed} is broken: {fault}\nplay it again: make sim SEED={seed}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let tell = || conductor_sim::run(4711).map_or_else(|fault| fault.to_string(), |story| story.to_string());
    assert_eq!(tell(), tell());
}
