use std::ops::Range;

/// Consecutive built entries of a batch, out of one buffer.
#[derive(Debug)]
pub struct Chunk {
    pub(crate) first: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) spans: Vec<Spans>,
}

#[derive(Debug, Clone)]
pub(crate) struct Spans {
    pub id: Option<Range<usize>>,
    pub body: Range<usize>,
    pub stub: Range<usize>,
    pub hash: [u8; 32],
}

/// One entry as it is stored. `body` is empty for `genesis`, `key` and `seal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub seq: u64,
    pub id: Option<&'a str>,
    pub stub: &'a [u8],
    pub body: &'a [u8],
    pub hash: [u8; 32],
}

impl Chunk {
    /// Position of the first entry.
    pub fn first(&self) -> u64 {
        self.first
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub fn row(&self, index: usize) -> Row<'_> {
        let spans = &self.spans[index];
        let id = spans.id.clone().map(|range| &self.data[range]);
        Row {
            seq: self.first + index as u64,
            id: id.map(|bytes| std::str::from_utf8(bytes).expect("ids are text")),
            stub: &self.data[spans.stub.clone()],
            body: &self.data[spans.body.clone()],
            hash: spans.hash,
        }
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }
}
