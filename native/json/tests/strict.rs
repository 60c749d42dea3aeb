//! What is refused, why and where; and the samples of RFC 8785.

use json::{canonical, check_canonical, Reader, Reason, Token};

fn refusal(data: &[u8]) -> (Reason, usize) {
    let error = canonical(data).expect_err("must be refused");
    (error.reason, error.position)
}

#[test]
fn every_reason_has_its_position() {
    let deep = [b'['; 65];
    let cases: &[(&[u8], Reason, usize)] = &[
        (b"", Reason::UnexpectedEnd, 0),
        (b" ", Reason::UnexpectedEnd, 1),
        (b"\xef\xbb\xbf1", Reason::ByteOrderMark, 0),
        (b"[1,\xff]", Reason::NotUtf8, 3),
        (b"\"a\xed\xa0\x80\"", Reason::NotUtf8, 2),
        (b"1\xff", Reason::NotUtf8, 1),
        (b"[1", Reason::UnexpectedEnd, 2),
        (b"\"a", Reason::UnexpectedEnd, 2),
        (b"nul", Reason::UnexpectedEnd, 3),
        (b"nulL", Reason::ValueExpected, 3),
        (b"NaN", Reason::ValueExpected, 0),
        (b"'a'", Reason::ValueExpected, 0),
        (b"[,1]", Reason::ValueExpected, 1),
        (b"[1,]", Reason::ValueExpected, 3),
        (b"[1 2]", Reason::CommaOrEndExpected, 3),
        (b"[1}", Reason::CommaOrEndExpected, 2),
        (b"{\"a\":1,}", Reason::KeyExpected, 7),
        (b"{a:1}", Reason::KeyExpected, 1),
        (b"{\"a\" 1}", Reason::ColonExpected, 5),
        (b"{\"a\":}", Reason::ValueExpected, 5),
        (b"1 2", Reason::TrailingBytes, 2),
        (b"{}}", Reason::TrailingBytes, 2),
        (b"{\"a\":1,\"\\u0061\":2}", Reason::DuplicateKey, 7),
        (b"\"\\ud800\"", Reason::LoneSurrogate, 1),
        (b"\"a\\udc00\"", Reason::LoneSurrogate, 2),
        (b"\"\\ud800\\u0041\"", Reason::LoneSurrogate, 1),
        (b"\"\\ud800\\ud800\"", Reason::LoneSurrogate, 1),
        (b"\"\\x\"", Reason::BadEscape, 1),
        (b"\"\\u00g0\"", Reason::BadEscape, 1),
        (b"\"\\u+123\"", Reason::BadEscape, 1),
        (b"\"\t\"", Reason::ControlCharacter, 1),
        (b"\"12345678\x1f\"", Reason::ControlCharacter, 9),
        (b"1.0", Reason::NotAnInteger, 1),
        (b"1e3", Reason::NotAnInteger, 1),
        (b"-", Reason::UnexpectedEnd, 1),
        (b"-a", Reason::ValueExpected, 1),
        (b"+1", Reason::ValueExpected, 0),
        (b"-0", Reason::NegativeZero, 1),
        (b"01", Reason::LeadingZero, 1),
        (b"-01", Reason::LeadingZero, 2),
        (b"9007199254740992", Reason::IntegerOutOfRange, 15),
        (b"-99999999999999999999", Reason::IntegerOutOfRange, 16),
        (&deep, Reason::TooDeep, 64),
    ];
    for (text, reason, position) in cases {
        assert_eq!(refusal(text), (*reason, *position), "{}", text.escape_ascii());
        assert!(check_canonical(text).is_err(), "{}", text.escape_ascii());
    }
}

#[test]
fn the_limits_themselves_pass() {
    for text in ["9007199254740991", "-9007199254740991", "0", "\"\u{0}7f\"", "[[],{}]"] {
        let escaped = text.replace('\0', "\\u0000");
        assert_eq!(canonical(escaped.as_bytes()).as_deref(), Ok(escaped.as_bytes()));
    }
    let deep = "[".repeat(64) + &"]".repeat(64);
    assert_eq!(check_canonical(deep.as_bytes()), Ok(()));
}

#[test]
fn canonical_texts_have_one_form() {
    let cases: &[(&str, Reason, usize)] = &[
        (" 1", Reason::WhiteSpace, 0),
        ("[1, 2]", Reason::WhiteSpace, 3),
        ("{\"a\" :1}", Reason::WhiteSpace, 4),
        ("1\n", Reason::WhiteSpace, 1),
        ("{\"b\":1,\"a\":2}", Reason::KeyOrder, 7),
        ("{\"a\":1,\"b\":2,\"a\":2}", Reason::KeyOrder, 13),
        ("{\"a\":1,\"a\":2}", Reason::DuplicateKey, 7),
        ("\"\\/\"", Reason::NeedlessEscape, 1),
        ("\"\\u0041\"", Reason::NeedlessEscape, 1),
        ("\"\\u000A\"", Reason::NeedlessEscape, 1),
        ("\"\\u000a\"", Reason::NeedlessEscape, 1),
        ("\"\\u001F\"", Reason::NeedlessEscape, 1),
        ("\"\\u007f\"", Reason::NeedlessEscape, 1),
        ("\"\\ud83d\\ude00\"", Reason::NeedlessEscape, 1),
    ];
    for (text, reason, position) in cases {
        let error = check_canonical(text.as_bytes()).expect_err(text);
        assert_eq!((error.reason, error.position), (*reason, *position), "{text}");
    }
    assert_eq!(check_canonical(br#"{"":"\b\t\n\f\r\"\\\u001f/","a":{"b":[]}}"#), Ok(()));
}

#[test]
fn rfc_8785_strings_and_key_order() {
    // Section 3.2.2: the sample's string; section 3.2.3: the sample's keys.
    let strings = r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#;
    assert_eq!(canonical(strings.as_bytes()).unwrap(), "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"".as_bytes());
    let keys = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
        "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O"}"#;
    let sorted = String::from_utf8(canonical(keys.as_bytes()).unwrap()).unwrap();
    let order = ["Carriage Return", "One", "Control", "Latin Small", "Euro Sign", "Emoji", "Hebrew"];
    let found: Vec<usize> = order.iter().map(|name| sorted.find(name).unwrap()).collect();
    assert!(found.is_sorted(), "{sorted}");
}

#[test]
fn large_objects_are_searched_by_hash() {
    let mut text: String =
        (0..500).map(|i| format!("{}\"k{i}\":{{\"k{i}\":0}}", if i == 0 { '{' } else { ',' })).collect();
    assert!(canonical((text.clone() + "}").as_bytes()).is_ok());
    let position = text.len() + 1;
    text += ",\"k3\":1}";
    assert_eq!(refusal(text.as_bytes()), (Reason::DuplicateKey, position));
}

#[test]
fn a_reader_can_leave_what_it_does_not_want() {
    let mut reader = Reader::new(br#"[{"a":[1,{"b":2}],"c":3}, 7]"#);
    assert_eq!(reader.value(), Ok(Token::Array));
    assert_eq!(reader.element(), Ok(true));
    let depth = reader.depth();
    assert_eq!(reader.value(), Ok(Token::Object));
    assert_eq!(reader.key().unwrap().as_deref(), Some("a"));
    assert_eq!(reader.value(), Ok(Token::Array));
    assert_eq!(reader.element(), Ok(true));
    reader.leave(depth).unwrap();
    assert_eq!(reader.element(), Ok(true));
    assert_eq!(reader.value(), Ok(Token::Integer(7)));
    assert_eq!(reader.element(), Ok(false));
    reader.end().unwrap();
    assert_eq!(reader.position(), 28);
}
