//! A stored file for those who read as they wait: from any place on, as often as they like.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::io;
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::blobs::Reader;

/// A file that is open. It must be read on a thread that may wait.
pub(super) struct Stored {
    file: Reader,
    runtime: Handle,
}

impl Stored {
    /// That file; call it where the runtime is.
    pub(super) fn new(file: Reader) -> Self {
        Self { file, runtime: Handle::current() }
    }

    fn bytes(&self, start: u64, end: u64) -> BoxStream<'static, io::Result<Bytes>> {
        Box::pin(self.file.clone().part(start..end).map_err(io::Error::other))
    }
}

impl Length for Stored {
    fn len(&self) -> u64 {
        self.file.size()
    }
}

impl ChunkReader for Stored {
    type T = SyncIoBridge<StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let bytes = self.bytes(start.min(self.len()), self.len());
        Ok(SyncIoBridge::new_with_handle(StreamReader::new(bytes), self.runtime.clone()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = u64::try_from(length).ok().and_then(|length| start.checked_add(length));
        let end = end.filter(|end| *end <= self.len());
        let end = end.ok_or_else(|| ParquetError::EOF("the file ends before".to_owned()))?;
        let all = self.bytes(start, end).try_fold(BytesMut::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        });
        let all = self.runtime.block_on(all).map_err(|cause| ParquetError::External(Box::new(cause)))?;
        Ok(all.freeze())
    }
}
