use std::borrow::Cow;

use crate::{compare_keys, write_integer, write_string, Error, Reader, Token};

/// A parsed text; strings without escapes are borrowed from it. The members of an object are in RFC 8785 order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Strict parse of a whole text.
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(data);
        let value = Self::read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// The next value of a reader.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(match reader.value()? {
            Token::Null => Value::Null,
            Token::Bool(value) => Value::Bool(value),
            Token::Integer(value) => Value::Integer(value),
            Token::String(value) => Value::String(value),
            Token::Array => {
                let mut items = Vec::new();
                while reader.element()? {
                    items.push(Self::read(reader)?);
                }
                Value::Array(items)
            }
            Token::Object => {
                let mut members = Vec::new();
                while let Some(key) = reader.key()? {
                    members.push((key, Self::read(reader)?));
                }
                members.sort_unstable_by(|(left, _), (right, _)| compare_keys(left, right));
                Value::Object(members)
            }
        })
    }

    /// Append the RFC 8785 form, provided that integers are in range and members in order, as `read` leaves them.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Integer(value) => write_integer(out, *value),
            Value::String(value) => write_string(out, value),
            Value::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}
