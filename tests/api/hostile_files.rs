//! Parquet files made to bring the server down: each is refused, and the server goes on as before.

use std::sync::Arc;

use parquet::basic::{Compression, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::support::Board;
use crate::support::forms::{Form, assert_refused};

const SETS: &str = "/api/v1/training-sets";
const METADATA: &str = r#"{"name":"hostile"}"#;

async fn assert_is_refused(board: &Board, file: &[u8], words: &str) {
    let form = Form::default().field("metadata", METADATA).file("a.parquet", None, file);
    let refused = board.member.send_form(SETS, &form).await;
    assert_refused(&refused, 400, Some("file"));
    assert!(refused.text().contains(words), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_schemas_that_nest_deeply_are_refused() {
    let board = Board::start().await;
    for depth in [3_000, 100_000] {
        assert_is_refused(&board, &nested(depth), "its schema may nest too deeply").await;
    }
    board.expect_files(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_with_very_many_columns_are_refused() {
    let board = Board::start().await;
    assert_is_refused(&board, &flat(10_001), "it has 10001 columns, of 10000 at most").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_pages_larger_than_claimed_are_refused() {
    let board = Board::start().await;
    assert_is_refused(&board, &lying(200), "it cannot be read").await;
    let honest = Form::default().field("metadata", METADATA).file("a.parquet", None, &lying(1));
    assert_eq!(
        board.member.send_form(SETS, &honest).await.code(),
        201,
        "the file is whole as it was written"
    );
}

/// A file without rows whose schema is so many groups, each in the one before.
fn nested(depth: usize) -> Vec<u8> {
    let mut elements = vec![0x48]; // the root's name: field 4, binary
    elements.extend([1, b'm', 0x15, 2, 0]); // "m", one child
    for _ in 1..depth {
        // repetition type: required; name "g"; one child
        elements.extend([0x35, 0, 0x18, 1, b'g', 0x15, 2, 0]);
    }
    // type: INT32; repetition type: required; name "i"
    elements.extend([0x15, 2, 0x25, 0, 0x18, 1, b'i', 0]);
    footer(depth + 1, &elements)
}

/// A file without rows whose schema is so many columns.
fn flat(columns: usize) -> Vec<u8> {
    let mut elements = vec![0x48, 1, b'm', 0x15];
    varint(&mut elements, 2 * columns);
    elements.push(0);
    for _ in 0..columns {
        elements.extend([0x15, 2, 0x25, 0, 0x18, 1, b'i', 0]);
    }
    footer(columns + 1, &elements)
}

/// A whole file of a footer in Thrift's compact protocol: version 1, the schema, no rows, no row groups.
fn footer(elements: usize, schema: &[u8]) -> Vec<u8> {
    let mut metadata = vec![0x15, 2, 0x19, 0xfc];
    varint(&mut metadata, elements);
    metadata.extend(schema);
    metadata.extend([0x16, 0, 0x19, 0x0c, 0]);
    let mut file = b"PAR1".to_vec();
    let length = u32::try_from(metadata.len()).unwrap();
    file.extend(metadata);
    file.extend(length.to_le_bytes());
    file.extend(b"PAR1");
    file
}

fn varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
}

/// A file of one page, which claims to unpack to 8 MiB and unpacks to so many times that.
fn lying(times: usize) -> Vec<u8> {
    const LENGTH: usize = 8 * 1024 * 1024;
    let column = Type::primitive_type_builder("zeros", PhysicalType::FIXED_LEN_BYTE_ARRAY)
        .with_length(i32::try_from(LENGTH).unwrap())
        .with_repetition(Repetition::REQUIRED);
    let column = Arc::new(column.build().unwrap());
    let schema = Arc::new(Type::group_type_builder("m").with_fields(vec![column]).build().unwrap());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_dictionary_enabled(false)
        .set_offset_index_disabled(true)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .build();
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let zeros = FixedLenByteArray::from(vec![0; LENGTH]);
    column.typed::<FixedLenByteArrayType>().write_batch(&[zeros], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    repeat_page(&file, times)
}

/// The file with the compressed bytes of its one page repeated, and their length adjusted wherever it stands.
fn repeat_page(file: &[u8], times: usize) -> Vec<u8> {
    const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let tail = file.len() - 8;
    let footer =
        tail - usize::try_from(u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap())).unwrap();
    let frame = file.windows(4).position(|window| window == ZSTD).unwrap();
    let page = &file[frame..footer];
    let header = patch(&file[4..frame], page.len(), page.len() * times);
    let (before, after) = (frame - 4 + page.len(), header.len() + page.len() * times);
    let metadata = patch(&file[footer..tail], before, after);
    let mut longer = b"PAR1".to_vec();
    longer.extend(header);
    longer.extend(page.repeat(times));
    longer.extend(&metadata);
    longer.extend(u32::try_from(metadata.len()).unwrap().to_le_bytes());
    longer.extend(b"PAR1");
    longer
}

/// The bytes with the number `before`, as Thrift's compact protocol writes it, replaced by `after`.
fn patch(bytes: &[u8], before: usize, after: usize) -> Vec<u8> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    varint(&mut old, 2 * before);
    varint(&mut new, 2 * after);
    let mut patched = bytes.to_vec();
    let mut places: Vec<_> =
        bytes.windows(old.len()).enumerate().filter(|(_, window)| *window == old).collect();
    assert!(!places.is_empty(), "{before} stands nowhere");
    while let Some((at, _)) = places.pop() {
        patched.splice(at..at + old.len(), new.clone());
    }
    patched
}
