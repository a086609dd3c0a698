//! Files on a real disk, whole and in parts.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use super::local::GATHERED;
use super::*;
use crate::disk::tests::syncs;

async fn store(blobs: &Blobs, chunks: &[&[u8]]) -> Result<Stored> {
    let mut writer = blobs.begin(10_000_000).await?;
    for chunk in chunks {
        writer.write(chunk).await?;
    }
    writer.finish().await
}

async fn files(blobs: &Blobs) -> Vec<String> {
    blobs.untouched_since(SystemTime::now() + Duration::from_secs(60)).await.unwrap()
}

async fn wait_until_empty(blobs: &Blobs) {
    for _ in 0..500 {
        if files(blobs).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("left behind: {:?}", files(blobs).await);
}

fn open() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&folder.path().join("files")).unwrap();
    (folder, blobs)
}

#[tokio::test]
async fn a_file_is_stored_with_its_size_and_hash() {
    let (_folder, blobs) = open();
    let large = vec![7; 3 * GATHERED];
    let stored = store(&blobs, &[b"a", &large, b"", b"z"]).await.unwrap();
    assert_eq!(stored.size, i64::try_from(large.len() + 2).unwrap());
    let path = stored.path.clone();
    assert!(path.starts_with(&stored.sha256[..2]) && path.as_bytes()[2] == b'/');
    assert_eq!(stored.keep(), path);
    let bytes = std::fs::read(blobs.local.locate(&path)).unwrap();
    assert_eq!(bytes, [b"a", large.as_slice(), b"z"].concat());
    let mode = std::fs::metadata(blobs.local.locate(&path)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(files(&blobs).await, std::slice::from_ref(&path));
    blobs.remove(&path).await.unwrap();
    blobs.remove(&path).await.unwrap();
    assert!(files(&blobs).await.is_empty());
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let (_folder, blobs) = open();
    let stored = store(&blobs, &[]).await.unwrap();
    assert_eq!((stored.size, &stored.sha256[..8]), (0, "e3b0c442"));
}

#[tokio::test]
async fn what_is_dropped_or_too_large_leaves_nothing() {
    let (_folder, blobs) = open();
    let mut writer = blobs.begin(100).await.unwrap();
    writer.write(&[0; 100]).await.unwrap();
    assert!(matches!(writer.write(&[0]).await, Err(Error::TooLarge(_))));
    assert!(writer.write(&[0]).await.is_err(), "it stays refused");
    let mut unfinished = blobs.begin(u64::MAX).await.unwrap();
    unfinished.write(&vec![0; 2 * GATHERED]).await.unwrap();
    drop((writer, unfinished));
    drop(store(&blobs, &[b"finished and not kept"]).await.unwrap());
    wait_until_empty(&blobs).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_part_that_is_given_up_gives_its_space_back_and_one_that_is_kept_stays() {
    let (_folder, blobs) = open();
    let draft = blobs.draft().await.unwrap();
    let bytes = vec![7; 4 * GATHERED];
    let size = u64::try_from(bytes.len()).unwrap();
    let write = async |number| {
        let slot = blobs.slot(&draft, number, Some(size));
        assert!(slot.is_some(), "{number}");
        let mut writer = blobs.begin_part(&draft, number, slot, Some(size), size).await.unwrap();
        writer.write(&bytes).await.unwrap();
        writer
    };
    let blocks = || std::fs::metadata(blobs.local.locate("tmp").join(&draft)).unwrap().blocks();
    write(1).await.finish().await.unwrap().keep();
    let kept = blocks();
    let (unfinished, finished) = (write(2).await, write(3).await.finish().await.unwrap());
    assert!(blocks() > kept);
    drop((unfinished, finished));
    for _ in 0..500 {
        if blocks() == kept {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(blocks(), kept);
    let common = std::fs::read(blobs.local.locate("tmp").join(&draft)).unwrap();
    assert!(common.starts_with(&bytes));
}

#[tokio::test]
async fn a_slot_is_its_writers_alone_until_he_lets_it_go() {
    let (_folder, blobs) = open();
    let draft = blobs.draft().await.unwrap();
    let slot = blobs.slot(&draft, 1, Some(5));
    assert!(slot.is_some());
    for size in [Some(5), None, Some(u64::MAX), Some(5)] {
        assert!(blobs.slot(&draft, 1, size).is_none(), "{size:?}");
    }
    blobs.local.drafts.close(&draft);
    blobs.local.drafts.open(&draft);
    assert!(blobs.slot(&draft, 1, Some(5)).is_none(), "nor when the whole could not be put together");
    drop(slot);
    assert!(blobs.slot(&draft, 1, Some(5)).is_some());
}

#[test]
fn a_bucket_is_refused_with_variables_that_parts_would_be_sent_without() {
    let open = |more: Option<&str>| {
        let named = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"].into_iter().chain(more);
        let variables: Vec<_> = named.map(|name| (name.to_owned(), "x".to_owned())).collect();
        self::open().1.with_bucket("s3://files", &variables)
    };
    open(None).unwrap();
    for name in ["AWS_PROXY_URL", "AWS_CHECKSUM_ALGORITHM", "AWS_SSE_CUSTOMER_KEY_BASE64"] {
        match open(Some(name)) {
            Err(Error::Invalid { field, message }) => {
                assert_eq!(field.as_deref(), Some("blob-store"));
                assert!(message.contains(name), "{message}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn only_what_is_old_is_listed() {
    let (_folder, blobs) = open();
    let kept = store(&blobs, &[b"x"]).await.unwrap().keep();
    let unfinished = blobs.begin(1).await.unwrap();
    assert_eq!(files(&blobs).await.len(), 2);
    let earlier = SystemTime::now() - Duration::from_secs(60);
    assert!(blobs.untouched_since(earlier).await.unwrap().is_empty());
    drop(unfinished);
    assert!(blobs.local.locate(&kept).exists());
}

#[tokio::test]
async fn names_of_acknowledged_parts_are_on_disk() {
    let (folder, blobs) = open();
    let drafts = folder.path().join("files/tmp");
    let draft = blobs.draft().await.unwrap();
    for (number, size) in [(1, Some(3)), (2, None)] {
        let before = syncs(&drafts);
        let slot = blobs.slot(&draft, number, size);
        let mut part = blobs.begin_part(&draft, number, slot, size, 10).await.unwrap();
        part.write(b"abc").await.unwrap();
        assert_eq!(syncs(&drafts), before, "before it is whole there is nothing to keep");
        part.finish().await.unwrap().keep();
        assert!(syncs(&drafts) > before, "{number}");
    }
}

#[tokio::test]
async fn names_of_stored_files_and_their_folders_are_on_disk() {
    let (folder, blobs) = open();
    let files = folder.path().join("files");
    for round in 1..=2 {
        let before = syncs(&files);
        let path = store(&blobs, &[b"same"]).await.unwrap().keep();
        assert_eq!(syncs(&files.join(&path[..2])), round);
        assert!(syncs(&files) > before, "another may have made the folder a moment ago");
    }
}
