//! Any text: parsed, printed and judged alike by every entry point, and by a foreign parser where both have a say.

use std::borrow::Cow;

use json::{canonical, check_canonical, compare_keys, Reason, Value, INTEGER_MAX};
use proptest::prelude::*;

/// Characters around every boundary of escapes, UTF-8 lengths and UTF-16 order.
fn text() -> impl Strategy<Value = String> {
    let edges =
        "\u{0}\u{8}\u{9}\u{a}\u{1f}\u{20}\"\\/az\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}";
    let edge = prop::sample::select(edges.chars().collect::<Vec<_>>());
    prop::collection::vec(prop_oneof![3 => edge, 1 => any::<char>()], 0..24)
        .prop_map(|chars| chars.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::Integer),
        text().prop_map(|text| Value::String(Cow::Owned(text))),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map(text(), inner, 0..24).prop_map(|members| {
                let mut members: Vec<_> = members.into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect();
                members.sort_by(|(left, _), (right, _)| compare_keys(left, right));
                Value::Object(members)
            }),
        ]
    })
}

fn printed(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// Texts that are nearly JSON: tokens in any order, and printed values with a byte changed.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "0",
        "-",
        "12",
        "1.5",
        "1e2",
        "true",
        "false",
        "null",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\/\"",
        "\"é\"",
        "\"",
        "\\",
    ];
    prop_oneof![
        prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..16)
            .prop_map(|tokens| tokens.concat().into_bytes()),
        (value(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, index, byte)| {
            let mut text = printed(&value);
            let at = index.index(text.len());
            text[at] = byte;
            text
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_parsed_again(value in value()) {
        let text = printed(&value);
        let parsed = Value::parse(&text);
        prop_assert_eq!(parsed.as_ref(), Ok(&value));
        prop_assert_eq!(check_canonical(&text), Ok(()));
        prop_assert_eq!(canonical(&text), Ok(text));
    }

    #[test]
    fn canonical_is_what_printing_does_not_change(text in almost()) {
        match canonical(&text) {
            Ok(printed) => {
                prop_assert_eq!(check_canonical(&text).is_ok(), printed == text);
                prop_assert_eq!(canonical(&printed), Ok(printed.clone()));
            }
            Err(error) => {
                prop_assert!(error.position <= text.len());
                // The canonical reader may object before, but goes no further: at most to an escape within a key that
                // is refused, at its opening quote, for being there twice.
                let objection = check_canonical(&text).expect_err("refused by both");
                prop_assert!(objection.position <= error.position || error.reason == Reason::DuplicateKey);
            }
        }
    }

    #[test]
    fn a_foreign_parser_reads_the_same(text in almost()) {
        let foreign: Result<serde_json::Value, _> = serde_json::from_slice(&text);
        if let Ok(printed) = canonical(&text) {
            prop_assert_eq!(foreign.expect("strict JSON is JSON"), serde_json::from_slice::<serde_json::Value>(&printed).unwrap());
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_utf16_code_units(left in text(), right in text()) {
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        prop_assert_eq!(compare_keys(&left, &right), units(&left).cmp(&units(&right)));
    }

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(canonical(&bytes).is_ok_and(|printed| printed == bytes), check_canonical(&bytes).is_ok());
    }
}
