//! What a bad day does to the real program: a disk that fails, is full or loses its power, a damaged page, another
//! master key, a clock that steps, few file descriptors. A ledger of acknowledged writes is held to each.
//!
//! The disk and the clock are a shim's, which `LD_PRELOAD` puts before the C library (`faults/shim.c`).

use crate::crash::seed;

mod disk;
mod disks;
mod images;
mod ledger;
mod machines;
mod record;
mod session;
mod shim;
mod uploads;
mod writer;

/// Seeds of a test's rounds: one, unless EVALBOARD_FAULTS says otherwise.
fn rounds() -> impl Iterator<Item = u64> {
    let rounds = std::env::var("EVALBOARD_FAULTS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let first = seed();
    (0..rounds).map(move |round| {
        let seed = first.wrapping_add(round);
        println!("seed {seed}: EVALBOARD_SEED={seed} makes the same choices");
        seed
    })
}
