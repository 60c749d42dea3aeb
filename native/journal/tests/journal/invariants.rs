//! Properties over random histories.

use std::collections::BTreeMap;

use journal::{Balance, Outcome};
use proptest::prelude::*;

use crate::store::{parse, Ledger, SECOND};

/// Accounts 0 and 1 have no limit, 2 and 3 one side limited, 3 with an overdraft, 4 the other side.
const SETUP: &str = r#"[
    {"kind":"account","name":"n2","limit":"debits_must_not_exceed_credits"},
    {"kind":"account","name":"n3","limit":"debits_must_not_exceed_credits","overdraft":{"EUR/2":"20","BTC/8":"3"}},
    {"kind":"account","name":"n4","limit":"credits_must_not_exceed_debits"}
]"#;

fn legs() -> impl Strategy<Value = String> {
    let leg = (0..5u8, 1..5u8, prop::bool::ANY, 1..40u32, 0..8u8).prop_map(|(debit, step, euro, amount, balancing)| {
        let credit = (debit + step) % 5;
        let asset = if euro { "EUR/2" } else { "BTC/8" };
        let balancing = match balancing {
            0 => r#","balancing":"debit""#,
            1 => r#","balancing":"credit""#,
            2 => r#","balancing":"both""#,
            _ => "",
        };
        format!(r#"{{"debit":"n{debit}","credit":"n{credit}","asset":"{asset}","amount":"{amount}"{balancing}}}"#)
    });
    prop::collection::vec(leg, 1..4).prop_map(|legs| legs.join(","))
}

/// Ids are drawn from few, so that replays, conflicts and targets are met.
fn command() -> impl Strategy<Value = String> {
    let id = || 0..30u8;
    let amounts = || prop::option::of(prop::collection::vec(0..30u32, 1..4));
    let written = |amounts: Option<Vec<u32>>| match amounts {
        Some(amounts) => {
            format!(r#","amounts":[{}]"#, amounts.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(","))
        }
        None => String::new(),
    };
    prop_oneof![
        4 => (id(), legs()).prop_map(|(id, legs)| format!(r#"{{"id":"i{id}","legs":[{legs}]}}"#)),
        3 => (id(), legs()).prop_map(|(id, legs)| format!(r#"{{"kind":"pending","id":"i{id}","legs":[{legs}]}}"#)),
        1 => (id(), legs()).prop_map(|(id, legs)| format!(r#"{{"kind":"adjustment","id":"i{id}","legs":[{legs}],"reason":"r"}}"#)),
        3 => (id(), id(), amounts()).prop_map(move |(id, target, amounts)| {
            format!(r#"{{"kind":"post","id":"i{id}","pending":"i{target}"{}}}"#, written(amounts))
        }),
        1 => (id(), id()).prop_map(|(id, target)| format!(r#"{{"kind":"void","id":"i{id}","pending":"i{target}"}}"#)),
        2 => (id(), id(), amounts()).prop_map(move |(id, target, amounts)| {
            format!(r#"{{"kind":"reversal","id":"i{id}","reverses":"i{target}"{}}}"#, written(amounts))
        }),
        1 => (0..5u8, prop::sample::select(vec!["open", "freeze", "unfreeze", "close", "reopen"]))
            .prop_map(|(name, action)| format!(r#"{{"kind":"account","name":"n{name}","action":"{action}"}}"#)),
    ]
}

fn item() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => command(),
        1 => prop::collection::vec(command(), 1..4).prop_map(|members| format!(r#"{{"group":[{}]}}"#, members.join(","))),
    ]
}

fn history() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(item(), 1..40)
}

fn prepared() -> Ledger {
    let mut ledger = Ledger::implicit();
    ledger.accept(SETUP);
    ledger
}

/// What a command came to, but for the time and hash of its entry and the place of its fault in the payload.
fn came_to(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Recorded { seq, replayed, .. } => format!("{seq} {replayed}"),
        Outcome::Refused(refusal) => format!("{:?}", journal::Refusal { position: None, ..*refusal.clone() }),
    }
}

type Balances = BTreeMap<(String, String), Balance>;

fn member<'a>(value: &'a json::Value<'_>, name: &str) -> &'a str {
    let json::Value::Object(members) = value else { panic!("no object") };
    match members.iter().find(|(key, _)| key == name) {
        Some((_, json::Value::String(text))) => text,
        _ => panic!("no {name}"),
    }
}

/// Balances worked out again from the legs that were written, and compared with the balances beside them.
fn derived(ledger: &Ledger) -> Balances {
    let mut balances = Balances::new();
    for row in ledger.rows.iter().filter(|row| !row.body.is_empty()) {
        let kind = row.kind();
        for (path, value) in row.parts() {
            let value = json::Value::parse(value.as_bytes()).unwrap();
            if path.starts_with("legs/") {
                let amount: u128 = member(&value, "amount").parse().unwrap();
                for (account, side) in [(member(&value, "debit"), 0), (member(&value, "credit"), 1)] {
                    let balance = balances.entry((account.into(), member(&value, "asset").into())).or_default();
                    let (posted, pending) = match side {
                        0 => (&mut balance.debits, &mut balance.pending_debits),
                        _ => (&mut balance.credits, &mut balance.pending_credits),
                    };
                    match kind.as_str() {
                        "pending" => *pending += amount,
                        "post" => (*posted, *pending) = (*posted + amount, *pending - amount),
                        "void" | "expire" => *pending -= amount,
                        _ => *posted += amount,
                    }
                }
            } else if path.starts_with("balances/") {
                let total = |name: &str| member(&value, name).parse::<u128>().unwrap();
                let found = Balance {
                    debits: total("debits"),
                    credits: total("credits"),
                    pending_debits: total("pending_debits"),
                    pending_credits: total("pending_credits"),
                };
                assert_eq!(balances[&(member(&value, "account").into(), member(&value, "asset").into())], found);
            }
        }
    }
    balances
}

fn available(balances: &Balances, account: &str, asset: &str) -> i128 {
    let balance = balances.get(&(account.into(), asset.into())).copied().unwrap_or_default();
    let [debits, credits, pending_debits, pending_credits] =
        [balance.debits, balance.credits, balance.pending_debits, balance.pending_credits].map(|total| total as i128);
    match account {
        "n2" => credits - debits - pending_debits,
        "n3" => credits - debits - pending_debits + if asset == "EUR/2" { 20 } else { 3 },
        _ => debits - credits - pending_credits,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn books_balance_and_limits_hold(history in history()) {
        let mut ledger = prepared();
        for item in &history {
            let before = ledger.balances.clone();
            ledger.send(item);
            ledger.now += SECOND;
            for account in ["n2", "n3", "n4"] {
                for asset in ["EUR/2", "BTC/8"] {
                    let (was, is) = (available(&before, account, asset), available(&ledger.balances, account, asset));
                    prop_assert!(is >= 0 || is >= was, "{account} {asset}: {was} -> {is} by {item}");
                }
            }
        }
        for asset in ["EUR/2", "BTC/8"] {
            let of_asset = || ledger.balances.iter().filter(|((_, of), _)| of == asset).map(|(_, balance)| balance);
            prop_assert_eq!(of_asset().map(|b| b.debits).sum::<u128>(), of_asset().map(|b| b.credits).sum::<u128>());
            prop_assert_eq!(
                of_asset().map(|b| b.pending_debits).sum::<u128>(),
                of_asset().map(|b| b.pending_credits).sum::<u128>()
            );
        }
        prop_assert_eq!(derived(&ledger), ledger.balances.clone());
        let held: u128 = ledger.balances.values().map(|balance| balance.pending_debits).sum();
        let pending = ledger.remainders.iter().filter(|(id, _)| ledger.rows[ledger.by_id[*id]].kind() == "pending");
        prop_assert_eq!(held, pending.flat_map(|(_, (remaining, ..))| remaining).sum::<u128>());
    }

    /// One by one, in one batch, in batches with restarts between: the same outcomes and parts.
    #[test]
    fn batches_may_be_cut_anywhere(history in history(), cuts in prop::collection::vec(prop::bool::ANY, 40)) {
        let (mut single, mut whole, mut cut) = (prepared(), prepared(), prepared());
        let mut one_by_one = Vec::new();
        for item in &history {
            one_by_one.extend(single.send(item).iter().map(came_to));
        }
        let at_once: Vec<String> = whole.send(&format!("[{}]", history.join(","))).iter().map(came_to).collect();
        let (mut in_pieces, mut piece) = (Vec::new(), Vec::new());
        for (item, &ends) in history.iter().zip(&cuts) {
            piece.push(item.as_str());
            if ends {
                in_pieces.extend(cut.send(&format!("[{}]", piece.join(","))).iter().map(came_to));
                piece.clear();
                cut.restart();
            }
        }
        in_pieces.extend(cut.send(&format!("[{}]", piece.join(","))).iter().map(came_to));
        prop_assert_eq!(&one_by_one, &at_once);
        prop_assert_eq!(&one_by_one, &in_pieces);
        for other in [&whole, &cut] {
            prop_assert_eq!(single.rows.len(), other.rows.len());
            for (row, same) in single.rows.iter().zip(&other.rows).skip(1) {
                prop_assert_eq!((row.kind(), row.parts()), (same.kind(), same.parts()));
            }
            prop_assert_eq!(&single.balances, &other.balances);
            prop_assert_eq!(&single.definitions, &other.definitions);
            prop_assert_eq!(&single.remainders, &other.remainders);
            prop_assert_eq!(&single.assets, &other.assets);
        }
    }

    /// What was rolled back never was.
    #[test]
    fn undo_restores_exactly(first in history(), undone in history(), last in history()) {
        let (mut plain, mut other) = (prepared(), prepared());
        for ledger in [&mut plain, &mut other] {
            ledger.send(&format!("[{}]", first.join(",")));
        }
        let known: Vec<usize> = other.by_id.values().copied().collect();
        let batch = other.apply(&parse(&format!("[{}]", undone.join(","))), &known).unwrap();
        other.journal.rollback(&batch).unwrap();
        for ledger in [&mut plain, &mut other] {
            ledger.send(&format!("[{}]", last.join(",")));
        }
        prop_assert_eq!(
            plain.rows.iter().map(|row| (&row.stub, &row.body)).collect::<Vec<_>>(),
            other.rows.iter().map(|row| (&row.stub, &row.body)).collect::<Vec<_>>()
        );
        prop_assert_eq!(&plain.balances, &other.balances);
        prop_assert_eq!(&plain.remainders, &other.remainders);
    }
}
