//! The image of entries for PostgreSQL's `COPY … FROM STDIN (FORMAT binary)`, PostgreSQL documentation, COPY, "Binary
//! Format": signature, flags, length of the header's extension; tuples of a field count and length-prefixed fields; -1.
//!
//! Columns: ledger int4, seq int8, id text, stub text, body text, hash bytea.

use std::sync::Arc;

use crate::{Batch, Chunk};

const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1i16).to_be_bytes();
const NULL: [u8; 4] = (-1i32).to_be_bytes();
const FIELDS: [u8; 2] = 6i16.to_be_bytes();

/// A piece of the image per chunk, the header in the first, the trailer in the last.
#[derive(Debug)]
pub struct CopyImage {
    batch: Batch,
    ledger: i32,
    next: usize,
}

impl Batch {
    /// `ledger`: the number that stands for this ledger in the table.
    pub fn copy_image(&self, ledger: i32) -> CopyImage {
        CopyImage { batch: self.clone(), ledger, next: 0 }
    }
}

impl Iterator for CopyImage {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let pieces = self.batch.0.chunks.len().max(1);
        if self.next == pieces {
            return None;
        }
        let chunk = self.batch.chunk(self.next);
        let mut out = Vec::with_capacity(chunk.as_deref().map_or(0, |chunk| chunk.data.len() + 80 * chunk.len()) + 32);
        if self.next == 0 {
            out.extend_from_slice(HEADER);
        }
        if let Some(chunk) = chunk {
            write_rows(&mut out, self.ledger, &chunk);
        }
        self.next += 1;
        if self.next == pieces {
            out.extend_from_slice(&END);
        }
        Some(out)
    }
}

fn write_rows(out: &mut Vec<u8>, ledger: i32, chunk: &Arc<Chunk>) {
    for row in chunk.rows() {
        out.extend_from_slice(&FIELDS);
        write_field(out, &ledger.to_be_bytes());
        write_field(out, &row.seq.to_be_bytes());
        match row.id {
            Some(id) => write_field(out, id.as_bytes()),
            None => out.extend_from_slice(&NULL),
        }
        write_field(out, row.stub);
        write_field(out, row.body);
        write_field(out, &row.hash);
    }
}

fn write_field(out: &mut Vec<u8>, field: &[u8]) {
    let length = i32::try_from(field.len()).expect("a body is at most 16 MiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(field);
}
