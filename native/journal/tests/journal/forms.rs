use journal::{Code, Outcome, Requests};
use proptest::prelude::*;

use crate::store::{leg, parse, transaction, Ledger};

fn members(payload: &str) -> (Option<String>, Option<u64>) {
    let mut ledger = Ledger::implicit();
    let refusal = ledger.refused_as("malformed", payload);
    (refusal.member, refusal.position)
}

#[test]
fn what_is_not_strict_json_is_one_command_with_a_position() {
    let good = transaction("a", "x", "y", "1");
    for (payload, position) in [
        ("", 0),
        ("{", 1),
        (r#"{"id":"a","id":"b"}"#, 10),
        (r#"{"id":"\ud800"}"#, 7),
        (r#"{"id":1.5}"#, 7),
        (r#"{"id":NaN}"#, 6),
        (r#"{"id":01}"#, 7),
        (&format!("{good} x"), good.len() + 1),
        (&format!("[{good},{{]"), good.len() + 3),
        (r#"{"id":"a	"}"#, 8),
    ] {
        assert_eq!(members(payload), (None, Some(position as u64)), "{payload}");
    }
}

#[test]
fn a_bad_form_is_refused_alone_and_names_its_member() {
    let legs = |leg: &str| format!(r#"{{"id":"a","legs":[{leg}]}}"#);
    let amount = |text: &str| legs(&format!(r#"{{"debit":"x","credit":"y","asset":"EUR/2","amount":{text}}}"#));
    let with = |member: &str| format!(r#"{{"id":"a","legs":[{}],{member}}}"#, leg("x", "y", "1"));
    let named = |member: &str| format!(r#"{{"kind":"account","name":"n",{member}}}"#);
    let cases: Vec<(String, &str)> = vec![
        ("7".into(), ""),
        (r#"{}"#.into(), "id"),
        (r#"{"id":"a"}"#.into(), "legs"),
        (legs(&leg("x", "y", "1")).replace("\"a\"", "\"\""), "id"),
        (legs(&leg("x", "y", "1")).replace("\"a\"", &format!("\"{}\"", "é".repeat(129))), "id"),
        (legs(&leg("x", "y", "1")).replace("\"a\"", r#""a\u007f""#), "id"),
        (legs(""), "legs"),
        (legs("7"), "legs/0"),
        (legs(&vec![leg("x", "y", "1"); 1001].join(",")), "legs"),
        (legs(r#"{"debit":"x","credit":"y","asset":"EUR/2"}"#), "legs/0/amount"),
        (legs(&leg("x", "x", "1")), "legs/0/credit"),
        (legs(&leg("x y", "x", "1")), "legs/0/debit"),
        (legs(&leg("x", "y", "1").replace("EUR/2", "EUR")), "legs/0/asset"),
        (legs(&leg("x", "y", "1").replace('}', r#","note":"n"}"#)), "legs/0/note"),
        (legs(&leg("x", "y", "1").replace('}', r#","balancing":"none"}"#)), "legs/0/balancing"),
        (amount("1"), "legs/0/amount"),
        (amount("\"0\""), "legs/0/amount"),
        (amount("\"-1\""), "legs/0/amount"),
        (amount("\"170141183460469231731687303715884105728\""), "legs/0/amount"),
        (with(r#""kind":"seal""#), "kind"),
        (with(r#""kind":"expire""#), "kind"),
        (with(r#""kind":"swap""#), "kind"),
        (with(r#""note":"n""#), "note"),
        (with(r#""reference":null"#), "reference"),
        (with(r#""expires":"2026-01-01T00:00:00Z""#), "expires"),
        (with(r#""effective":"2026-02-30T00:00:00Z""#), "effective"),
        (with(r#""metadata":{"k":1}"#), "metadata/k"),
        (with(r#""metadata":{"":"v"}"#), "metadata"),
        (with(&format!(r#""metadata":{{"k":"{}"}}"#, "v".repeat(4097))), "metadata/k"),
        (with(r#""kind":"adjustment""#), "reason"),
        (with(r#""by":"user:x""#), "by"),
        (r#"{"kind":"post","id":"a","pending":"p","amounts":["0","0"]}"#.into(), "amounts"),
        (r#"{"kind":"post","id":"a","pending":"p","amounts":[]}"#.into(), "amounts"),
        (r#"{"kind":"post","id":"a","pending":"p","amounts":["01"]}"#.into(), "amounts/0"),
        (r#"{"kind":"void","id":"a","pending":"p","amounts":["1"]}"#.into(), "amounts"),
        (r#"{"kind":"policy","id":"a","closed_before":"2026"}"#.into(), "closed_before"),
        (named(r#""overdraft":{"EUR/2":"1"}"#), "overdraft"),
        (named(r#""limit":"none","overdraft":{"EUR/2":"1"}"#), "overdraft"),
        (named(r#""limit":"debits_must_not_exceed_credits","overdraft":{}"#), "overdraft"),
        (named(r#""limit":"some""#), "limit"),
        (named(r#""normal":"left""#), "normal"),
        (named(r#""assets":[]"#), "assets"),
        (named(r#""assets":["EUR/2","EUR/2"]"#), "assets/1"),
        (named(r#""action":"freeze","normal":"debit""#), "normal"),
        (named(r#""action":"close","metadata":{}"#), "metadata"),
        (named(r#""action":"melt""#), "action"),
        (r#"{"group":[]}"#.into(), "group"),
        (r#"{"group":7}"#.into(), "group"),
        (format!(r#"{{"group":[{}],"id":"g"}}"#, transaction("a", "x", "y", "1")), "id"),
        (r#"{"group":[{"group":[]}]}"#.into(), "group"),
    ];
    for (payload, member) in cases {
        assert_eq!(members(&payload).0.unwrap_or_default(), member, "{payload}");
        // In an array the others are untouched by it.
        let mut ledger = Ledger::implicit();
        let outcomes = ledger.send(&format!(
            "[{},{payload},{}]",
            transaction("1", "x", "y", "1"),
            transaction("2", "x", "y", "1")
        ));
        let recorded = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Recorded { .. })).count();
        assert_eq!((outcomes.len(), recorded), (3, 2), "{payload}");
    }
}

#[test]
fn a_position_is_that_of_the_value() {
    let payload = r#"[{"id":"a","legs":[{"debit":"x","credit":"y","asset":"EUR/2","amount": 5}]}]"#;
    let (member, position) = members(payload);
    assert_eq!(member.as_deref(), Some("legs/0/amount"));
    assert_eq!(position, Some(payload.find('5').unwrap() as u64));
}

#[test]
fn lines_of_ndjson_are_refused_alone() {
    let (one, two) = (transaction("1", "x", "y", "1"), transaction("2", "x", "y", "1"));
    let mut requests = Requests::new();
    requests.begin("service:import").unwrap();
    requests.ndjson(format!("{one}\r\n\n  \n{{oops\n{two}\n[{two}]").as_bytes());
    assert_eq!(requests.counts().collect::<Vec<_>>(), [4]);
    assert_eq!(requests.ids().collect::<Vec<_>>(), ["1", "2"]);
    let mut ledger = Ledger::implicit();
    let batch = ledger.apply(&requests.into(), &[]).unwrap();
    let codes = (0..4).map(|index| match batch.outcome(index) {
        Outcome::Refused(refusal) => {
            assert_eq!(refusal.code, Code::Malformed);
            refusal.message.split(':').next().unwrap().to_owned()
        }
        Outcome::Recorded { seq, .. } => seq.to_string(),
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["1", "line 4", "2", "line 6"]);
}

#[test]
fn requests_of_several_callers_are_counted_apart() {
    let mut requests = Requests::new();
    requests.begin("user:a").unwrap();
    requests.json(format!("[{}]", transaction("1", "x", "y", "1")).as_bytes());
    requests.begin("user:b").unwrap();
    requests.json(b"[]");
    requests.begin("user:c").unwrap();
    let group = format!(r#"{{"group":[{},{}]}}"#, transaction("2", "x", "y", "1"), transaction("3", "x", "y", "1"));
    requests.json(group.as_bytes());
    requests.malformed("not even JSON");
    assert_eq!(requests.counts().collect::<Vec<_>>(), [1, 0, 3]);
    assert!(requests.begin("x").is_err());
    let mut ledger = Ledger::implicit();
    let batch = ledger.apply(&requests.into(), &[]).unwrap();
    assert_eq!((batch.len(), batch.refused(), batch.count()), (4, 1, 3));
    ledger.store(&batch);
    assert_eq!(ledger.last().part("by").unwrap(), "\"user:c\"");
}

#[test]
fn escaped_texts_mean_what_they_say() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction(r#"\u0061\"b\\\u20ac"#, "x", r"\u0079", "1"));
    assert_eq!(ledger.last().id.as_deref(), Some("a\"b\\€"));
    assert_eq!(ledger.last().part("id").unwrap(), r#""a\"b\\€""#);
    assert_eq!(ledger.eur("y").1, 1);
}

#[test]
fn parsed_ids_are_those_of_well_formed_commands() {
    let requests = parse(&format!("[{},{{\"id\":\"bad\"}}]", transaction("good", "x", "y", "1")));
    assert_eq!(requests.ids().collect::<Vec<_>>(), ["good"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes: every request is answered, and a position lies within it.
    #[test]
    fn any_bytes_are_parsed_or_refused(
        noise in prop::collection::vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let legs = leg("x", "y", "1").replace('}', r#","balancing":"both"}"#);
        let valid = format!(r#"[{{"group":[{{"id":"a\u00e9","legs":[{legs}],"metadata":{{"k":"v"}}}}]}}, {legs}]"#);
        let mut bytes = valid.into_bytes();
        let from = at.index(bytes.len());
        let to = from + cut.index(bytes.len() - from);
        bytes.splice(from..to, noise);
        for lines in [false, true] {
            let mut requests = Requests::new();
            requests.begin("user:a").unwrap();
            if lines { requests.ndjson(&bytes) } else { requests.json(&bytes) }
            let count = requests.len();
            let mut ledger = Ledger::implicit();
            let batch = ledger.apply(&requests.into(), &[]).unwrap();
            prop_assert_eq!(batch.len(), count);
            for index in 0..count {
                if let Outcome::Refused(refusal) = batch.outcome(index) {
                    prop_assert!(refusal.position.unwrap_or(0) <= bytes.len() as u64);
                }
            }
        }
    }
}
