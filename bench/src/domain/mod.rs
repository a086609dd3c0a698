//! The server's own statistics, compiled from their source: they need nothing else of the server.

/// Stand-ins for the server's own types.
pub mod id {
    /// A model, in place of the server's key.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ModelKey(pub i64);
}

#[path = "../../../src/domain/stats/mod.rs"]
pub mod stats;
