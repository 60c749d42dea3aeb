use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use crate::scan::plain_end;
use crate::{compare_keys, write_string, Error, Reason, DEPTH_MAX, INTEGER_MAX};

/// Up to here a new key is compared with each earlier one; above, hashing is faster.
const KEYS_COMPARED_MAX: usize = 16;

/// What `Reader::value` found. After `Array` call `element`, after `Object` call `key`, until they say that it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    String(Cow<'a, str>),
    Array,
    Object,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A value: at the start, after a key, after `element` said yes.
    Value,
    /// The first member or element of a container, or its end.
    First,
    /// A comma or the end of a container; outside of all containers the end of the text.
    Comma,
}

#[derive(Clone, Copy, Debug)]
struct Container {
    object: bool,
    position: usize,
    keys_start: usize,
}

/// A pull parser over a strict text. Strings without escapes are borrowed.
///
/// ```
/// use json::{Reader, Token};
/// let mut reader = Reader::new(br#"{"legs":[1,2],"id":"a"}"#);
/// assert_eq!(reader.value()?, Token::Object);
/// while let Some(key) = reader.key()? {
///     match key.as_ref() {
///         "id" => assert_eq!(reader.value()?, Token::String("a".into())),
///         _ => assert_eq!(reader.skip()?, "[1,2]"),
///     }
/// }
/// reader.end()?;
/// # Ok::<(), json::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    /// The longest prefix that is UTF-8.
    text: &'a str,
    bytes: &'a [u8],
    /// `text` is not all: a byte that is not UTF-8 follows.
    cut: bool,
    canonical: bool,
    position: usize,
    next: Next,
    open: Vec<Container>,
    /// The keys so far of every open object, innermost last; in canonical texts only each object's last key.
    keys: Vec<Cow<'a, str>>,
    /// The keys of large objects, with the position of their object.
    hashed: HashSet<(usize, Cow<'a, str>)>,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        let (text, cut) = match std::str::from_utf8(data) {
            Ok(text) => (text, false),
            Err(error) => (std::str::from_utf8(&data[..error.valid_up_to()]).expect("valid up to here"), true),
        };
        Reader {
            text,
            bytes: text.as_bytes(),
            cut,
            canonical: false,
            position: 0,
            next: Next::Value,
            open: Vec::new(),
            keys: Vec::new(),
            hashed: HashSet::new(),
        }
    }

    /// A reader that also refuses what RFC 8785 forbids.
    pub fn canonical(data: &'a [u8]) -> Self {
        Reader { canonical: true, ..Self::new(data) }
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next value; of containers only their opening bracket.
    pub fn value(&mut self) -> Result<Token<'a>, Error> {
        debug_assert_eq!(self.next, Next::Value, "no value is due here");
        let byte = self.peek()?;
        self.next = Next::Comma;
        match byte {
            b'"' => Ok(Token::String(self.string()?)),
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'-' | b'0'..=b'9' => self.integer(),
            b't' => self.literal("true", Token::Bool(true)),
            b'f' => self.literal("false", Token::Bool(false)),
            b'n' => self.literal("null", Token::Null),
            _ if self.position == 0 && self.text.starts_with('\u{feff}') => self.fail(Reason::ByteOrderMark, 0),
            _ => self.fail(Reason::ValueExpected, self.position),
        }
    }

    /// The next key of the open object, or `None` once it is closed. The key's value is due next.
    pub fn key(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        debug_assert!(self.open.last().is_some_and(|container| container.object), "no object is open");
        if self.closes(b'}')? {
            return Ok(None);
        }
        let position = self.position;
        if self.bytes[position] != b'"' {
            return self.fail(Reason::KeyExpected, position);
        }
        let key = self.string()?;
        self.remember(key.clone(), position)?;
        if self.peek()? != b':' {
            return self.fail(Reason::ColonExpected, self.position);
        }
        self.position += 1;
        self.next = Next::Value;
        Ok(Some(key))
    }

    /// Whether the open array has another element, which is due next; `false` once it is closed.
    pub fn element(&mut self) -> Result<bool, Error> {
        debug_assert!(self.open.last().is_some_and(|container| !container.object), "no array is open");
        if self.closes(b']')? {
            return Ok(false);
        }
        self.next = Next::Value;
        Ok(true)
    }

    /// Check and pass over the next value; its bytes.
    pub fn skip(&mut self) -> Result<&'a str, Error> {
        self.peek()?;
        let (start, depth) = (self.position, self.depth());
        self.value()?;
        self.leave(depth)?;
        Ok(&self.text[start..self.position])
    }

    /// Check and pass over all that is left of the containers opened since `depth`.
    pub fn leave(&mut self, depth: usize) -> Result<(), Error> {
        while let Some(container) = self.open.last().filter(|_| self.depth() > depth) {
            match (self.next, container.object) {
                (Next::Value, _) => drop(self.value()?),
                (_, true) => drop(self.key()?),
                (_, false) => drop(self.element()?),
            }
        }
        Ok(())
    }

    /// Only white space may follow.
    pub fn end(&mut self) -> Result<(), Error> {
        debug_assert!(self.next == Next::Comma && self.open.is_empty(), "the value is not read yet");
        self.white_space()?;
        if self.cut && self.position == self.bytes.len() {
            return self.fail(Reason::NotUtf8, self.position);
        }
        if self.position < self.bytes.len() {
            return self.fail(Reason::TrailingBytes, self.position);
        }
        Ok(())
    }

    fn fail<T>(&self, reason: Reason, position: usize) -> Result<T, Error> {
        Err(Error { reason, position })
    }

    fn ended(&self) -> Error {
        let reason = if self.cut { Reason::NotUtf8 } else { Reason::UnexpectedEnd };
        Error { reason, position: self.bytes.len() }
    }

    #[inline]
    fn white_space(&mut self) -> Result<(), Error> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.position) {
            if self.canonical {
                return self.fail(Reason::WhiteSpace, self.position);
            }
            self.position += 1;
        }
        Ok(())
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Result<u8, Error> {
        self.white_space()?;
        self.bytes.get(self.position).copied().ok_or_else(|| self.ended())
    }

    fn open(&mut self, object: bool) -> Result<Token<'a>, Error> {
        if self.open.len() == DEPTH_MAX {
            return self.fail(Reason::TooDeep, self.position);
        }
        self.open.push(Container { object, position: self.position, keys_start: self.keys.len() });
        self.position += 1;
        self.next = Next::First;
        Ok(if object { Token::Object } else { Token::Array })
    }

    /// Consume the closing bracket, or the comma before the next member or element.
    #[inline]
    fn closes(&mut self, bracket: u8) -> Result<bool, Error> {
        debug_assert_ne!(self.next, Next::Value, "a value is due");
        let byte = self.peek()?;
        if byte == bracket {
            self.position += 1;
            if let Some(container) = self.open.pop() {
                self.keys.truncate(container.keys_start);
            }
            self.next = Next::Comma;
            return Ok(true);
        }
        if self.next == Next::Comma {
            if byte != b',' {
                return self.fail(Reason::CommaOrEndExpected, self.position);
            }
            self.position += 1;
            self.peek()?;
        }
        Ok(false)
    }

    /// RFC 8259 leaves the meaning of a repeated key open; here it is refused.
    fn remember(&mut self, key: Cow<'a, str>, position: usize) -> Result<(), Error> {
        let Some(&Container { position: object, keys_start, .. }) = self.open.last() else {
            return self.fail(Reason::KeyExpected, position);
        };
        let earlier = &self.keys[keys_start..];
        if self.canonical {
            match earlier.last().map(|last| compare_keys(last, &key)) {
                Some(Ordering::Equal) => return self.fail(Reason::DuplicateKey, position),
                Some(Ordering::Greater) => return self.fail(Reason::KeyOrder, position),
                _ => self.keys.truncate(keys_start),
            }
        } else if earlier.len() < KEYS_COMPARED_MAX {
            if earlier.contains(&key) {
                return self.fail(Reason::DuplicateKey, position);
            }
        } else {
            if earlier.len() == KEYS_COMPARED_MAX {
                self.hashed.extend(earlier.iter().map(|earlier| (object, earlier.clone())));
            }
            if !self.hashed.insert((object, key.clone())) {
                return self.fail(Reason::DuplicateKey, position);
            }
        }
        self.keys.push(key);
        Ok(())
    }

    fn literal(&mut self, literal: &str, token: Token<'a>) -> Result<Token<'a>, Error> {
        for expected in literal.bytes() {
            match self.bytes.get(self.position) {
                Some(&byte) if byte == expected => self.position += 1,
                Some(_) => return self.fail(Reason::ValueExpected, self.position),
                None => return Err(self.ended()),
            }
        }
        Ok(token)
    }

    fn integer(&mut self) -> Result<Token<'a>, Error> {
        let negative = self.bytes[self.position] == b'-';
        self.position += usize::from(negative);
        let start = self.position;
        let mut value = 0i64;
        while let Some(&digit @ b'0'..=b'9') = self.bytes.get(self.position) {
            if self.position > start && value == 0 {
                return self.fail(Reason::LeadingZero, self.position);
            }
            value = value * 10 + i64::from(digit - b'0');
            if value > INTEGER_MAX {
                return self.fail(Reason::IntegerOutOfRange, self.position);
            }
            self.position += 1;
        }
        match self.bytes.get(self.position) {
            None if self.position == start => return Err(self.ended()),
            Some(_) if self.position == start => return self.fail(Reason::ValueExpected, start),
            Some(b'.' | b'e' | b'E') => return self.fail(Reason::NotAnInteger, self.position),
            _ if negative && value == 0 => return self.fail(Reason::NegativeZero, start),
            _ => {}
        }
        Ok(Token::Integer(if negative { -value } else { value }))
    }

    /// A string from its opening quote on.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        let start = self.position + 1;
        let end = plain_end(self.bytes, start);
        if self.bytes.get(end) == Some(&b'"') {
            self.position = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        self.escaped(start, end).map(Cow::Owned)
    }

    fn escaped(&mut self, start: usize, mut end: usize) -> Result<String, Error> {
        let mut out = String::new();
        let mut from = start;
        loop {
            out.push_str(&self.text[from..end]);
            match self.bytes.get(end) {
                None => return Err(self.ended()),
                Some(b'"') => {
                    self.position = end + 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    let (character, after) = self.escape(end)?;
                    if self.canonical && !is_canonical_escape(character, &self.bytes[end..after]) {
                        return self.fail(Reason::NeedlessEscape, end);
                    }
                    out.push(character);
                    from = after;
                    end = plain_end(self.bytes, after);
                }
                Some(_) => return self.fail(Reason::ControlCharacter, end),
            }
        }
    }

    /// The character of the escape at `at`, and the position after it. RFC 8259 section 7.
    fn escape(&self, at: usize) -> Result<(char, usize), Error> {
        let character = match self.bytes.get(at + 1).ok_or_else(|| self.ended())? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(at),
            _ => return self.fail(Reason::BadEscape, at),
        };
        Ok((character, at + 2))
    }

    fn unicode_escape(&self, at: usize) -> Result<(char, usize), Error> {
        let unit = self.code_unit(at)?;
        match unit {
            0xd800..=0xdbff if self.bytes[at + 6..].starts_with(b"\\u") => {
                let low = self.code_unit(at + 6)?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return self.fail(Reason::LoneSurrogate, at);
                }
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                Ok((char::from_u32(code).expect("a surrogate pair"), at + 12))
            }
            0xd800..=0xdfff => self.fail(Reason::LoneSurrogate, at),
            _ => Ok((char::from_u32(unit).expect("no surrogate"), at + 6)),
        }
    }

    /// The four hexadecimal digits of the escape at `at`.
    fn code_unit(&self, at: usize) -> Result<u32, Error> {
        let mut unit = 0;
        for position in at + 2..at + 6 {
            let byte = *self.bytes.get(position).ok_or_else(|| self.ended())?;
            match char::from(byte).to_digit(16) {
                Some(digit) => unit = unit * 16 + digit,
                None => return self.fail(Reason::BadEscape, at),
            }
        }
        Ok(unit)
    }
}

/// RFC 8785 section 3.2.2.2: only quotes, backslashes and control characters are escaped, and each in one way.
fn is_canonical_escape(character: char, escape: &[u8]) -> bool {
    let mut printed = Vec::with_capacity(8);
    write_string(&mut printed, character.encode_utf8(&mut [0; 4]));
    printed[1..printed.len() - 1] == *escape
}
