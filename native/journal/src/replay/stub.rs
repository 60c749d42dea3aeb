use json::Reader;
use merkle::{Hash, BUNDLE_ITEM_MAX};

use super::blame::{blame, Blame, Checked};
use crate::stored::unhex;
use crate::Kind;

const PARTS_MAX: u64 = 65_536;

/// What a stub says.
#[derive(Debug)]
pub(super) struct Stub<'a> {
    pub at: u64,
    pub batch: u64,
    pub content: Content<'a>,
    pub kind: Kind,
    pub parts: u64,
    pub prev: Hash,
    pub seq: u64,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    Root(Hash),
    /// The body object of an entry of the log itself.
    Object(&'a str),
}

impl<'a> Stub<'a> {
    /// `ledger` is the origin as a JSON string.
    pub fn read(stub: &'a [u8], ledger: &str) -> Checked<Self> {
        if stub.len() > BUNDLE_ITEM_MAX {
            return Err(blame("stub", "the stub is too long", format!("{BUNDLE_ITEM_MAX} bytes"), stub.len()));
        }
        let text = std::str::from_utf8(stub).map_err(|error| {
            blame("stub", "the stub is not UTF-8", "UTF-8", format!("byte {}", error.valid_up_to()))
        })?;
        let mut cursor = Cursor { text, at: 0 };
        cursor.literal("{\"at\":")?;
        let at = cursor.number()?;
        cursor.literal(",\"batch\":")?;
        let batch = cursor.number()?;
        cursor.literal(",\"body\":")?;
        let content = cursor.content()?;
        cursor.literal(",\"kind\":\"")?;
        let kind = cursor.kind()?;
        cursor.literal("\",\"ledger\":")?;
        cursor.literal(ledger)?;
        cursor.literal(",\"parts\":")?;
        let parts = cursor.number()?;
        cursor.literal(",\"prev\":\"")?;
        let prev = cursor.hash()?;
        cursor.literal("\",\"seq\":")?;
        let seq = cursor.number()?;
        cursor.literal(",\"v\":1}")?;
        if cursor.at < text.len() {
            return Err(cursor.bad("the end"));
        }
        match (kind.is_log(), &content) {
            (true, Content::Object(_)) if parts == 0 => {}
            (false, Content::Root(_)) if (1..=PARTS_MAX).contains(&parts) => {}
            (true, _) => {
                return Err(blame("stub", "the body of this kind stands in the stub", "an object, 0 parts", parts))
            }
            (false, _) => {
                return Err(blame(
                    "stub",
                    "the body of this kind stands beside the stub",
                    "its root, 1 to 65536 parts",
                    parts,
                ))
            }
        }
        Ok(Stub { at, batch, content, kind, parts, prev, seq })
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn literal(&mut self, expected: &str) -> Checked<()> {
        if !self.text.as_bytes()[self.at..].starts_with(expected.as_bytes()) {
            return Err(self.bad(expected));
        }
        self.at += expected.len();
        Ok(())
    }

    /// A canonical integer below 2^53.
    fn number(&mut self) -> Checked<u64> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take(17).take_while(|byte| byte.is_ascii_digit()).count();
        let value = rest[..digits].iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
        if digits == 0 || (rest[0] == b'0' && digits > 1) || value > json::INTEGER_MAX as u64 {
            return Err(self.bad("an integer below 2^53"));
        }
        self.at += digits;
        Ok(value)
    }

    fn hash(&mut self) -> Checked<Hash> {
        let hash = self.text.get(self.at..self.at + 64).and_then(unhex);
        self.at += 64;
        hash.ok_or_else(|| Cursor { at: self.at - 64, ..*self }.bad("64 hexadecimal digits"))
    }

    fn content(&mut self) -> Checked<Content<'a>> {
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            let root = self.hash()?;
            self.literal("\"")?;
            return Ok(Content::Root(root));
        }
        let mut reader = Reader::canonical(&self.text.as_bytes()[self.at..]);
        let object = reader.skip().map_err(|error| {
            blame("stub", "the body in the stub is not canonical", "RFC 8785", format!("{error} of the body"))
        })?;
        if !object.starts_with('{') {
            return Err(self.bad("an object or a root"));
        }
        self.at += object.len();
        Ok(Content::Object(object))
    }

    fn kind(&mut self) -> Checked<Kind> {
        let rest = &self.text[self.at..];
        let kind =
            rest.split_once('"').and_then(|(kind, _)| Kind::parse(kind)).ok_or_else(|| self.bad("a kind of entry"))?;
        self.at += kind.as_str().len();
        Ok(kind)
    }

    fn bad(&self, expected: &str) -> Box<Blame> {
        let near: String = self.text[self.at..].chars().take(24).collect();
        blame("stub", "the stub is not canonical", expected, format!("{near} at byte {}", self.at))
    }
}
