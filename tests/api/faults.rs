//! What a bad day does to the real program: a disk that fails, is full or loses its power, a damaged page, another
//! master key, a clock that steps, few file descriptors. A ledger of acknowledged writes is held to each.
//!
//! The disk and the clock are a shim's, which `LD_PRELOAD` puts before the C library (`faults/shim.c`).

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
