//! `conductor-sim`: plays `SEEDS` seeds (default 100) from `FROM` (default 1), or the one in `SEED`.

use std::process::ExitCode;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> ExitCode {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None => {
            let from = number("FROM").unwrap_or(1);
            from..from.saturating_add(number("SEEDS").unwrap_or(100))
        }
    };
    let mut broken = 0;
    for seed in seeds.clone() {
        match conductor_sim::run(seed) {
            Ok(story) => println!("seed {seed}: {story}"),
            Err(fault) => {
                broken += 1;
                eprintln!("seed {seed} is broken: {fault}\nplay it again: make sim SEED={seed}");
            }
        }
    }
    println!("{} seeds, {broken} broken", seeds.end - seeds.start);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
