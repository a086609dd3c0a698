//! The numbered migrations, embedded in the binary. It does not decide when they run.

/// How many files are embedded; a test holds this to the folder, since a misnamed file is skipped silently.
#[must_use]
pub fn count() -> usize {
    sqlite::migrations::runner().get_migrations().len()
}

/// The migrations of the embedded database.
pub(super) mod sqlite {
    refinery::embed_migrations!("migrations/sqlite");
}
