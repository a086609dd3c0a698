//! Grants of uploads: who may send one file, how large it may be, and until when it may begin.
//!
//! A grant is written as a token by the surface that takes the file. The state of the upload is in the database.

use super::time::Millis;

/// Longest file name that is kept in a pathname, in characters.
const MAX_NAME: usize = 100;

/// The permission to send one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadGrant {
    /// The name of the file for clients; they must ask for this very path.
    pub pathname: String,
    /// Largest size, in bytes.
    pub max_bytes: u64,
    /// Content types that the file may have.
    pub allowed_content_types: Vec<String>,
    /// Until when the upload, or a part of it, may begin.
    pub valid_until: Millis,
    /// The owner: the public id of a user.
    pub owner: String,
    /// The upload's row.
    pub upload_id: String,
}

/// The noun that a file belongs to; the first part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Files of models.
    Artifacts,
    /// Training sets.
    TrainingSets,
}

impl Folder {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Artifacts => "artifacts",
            Self::TrainingSets => "training-sets",
        }
    }
}

/// The path that a file asked for at `now` goes by, such as `artifacts/1795269600000-weights.bin`.
///
/// It names the upload to the client and is never a path on our disk. Of the file's name only ASCII letters,
/// digits, dots, dashes and underscores stay, and of a long one its end, with the extension.
#[must_use]
pub fn pathname(folder: Folder, now: Millis, file_name: &str) -> String {
    format!("{}/{}-{}", folder.as_str(), now.0, sanitise(file_name))
}

fn sanitise(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut kept = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => kept.push(c),
            _ if kept.ends_with('-') => {}
            _ => kept.push('-'),
        }
    }
    // All ASCII by now: bytes are characters.
    let end = kept.get(kept.len().saturating_sub(MAX_NAME)..).unwrap_or_default();
    let end = end.trim_start_matches(['.', '-']);
    if end.is_empty() { "file".to_owned() } else { end.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pathname_has_folder_time_and_a_tame_name() {
        let now = Millis(1_795_269_600_000);
        for (file_name, tame) in [
            ("weights.bin", "weights.bin"),
            ("my model (final).safetensors", "my-model-final-.safetensors"),
            ("../../etc/passwd", "passwd"),
            ("C:\\models\\a.gguf", "a.gguf"),
            (".env", "env"),
            ("--flag", "flag"),
            ("Modèle🚀.bin", "Mod-le-.bin"),
            ("a\0b\nc", "a-b-c"),
            ("a?b#c%d&e", "a-b-c-d-e"),
            ("", "file"),
            ("..", "file"),
            ("模型", "file"),
            ("folder/", "file"),
        ] {
            assert_eq!(
                pathname(Folder::Artifacts, now, file_name),
                format!("artifacts/1795269600000-{tame}"),
                "{file_name:?}"
            );
        }
        assert_eq!(pathname(Folder::TrainingSets, now, "a.csv"), "training-sets/1795269600000-a.csv");
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = sanitise(&format!("{}.parquet", "x".repeat(300)));
        assert_eq!(name.len(), MAX_NAME);
        assert!(name.ends_with("x.parquet"));
    }
}
