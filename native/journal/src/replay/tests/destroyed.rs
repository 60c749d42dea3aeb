use super::ledger::{replayed, Dice, Ledger, OwnedRow};
use crate::Replay;

/// Whatever was destroyed, all that is said is right, and what is not said is named.
fn must_be_honest(ledger: &Ledger, rows: &[OwnedRow], context: &str) -> Replay {
    let replay = replayed(rows).unwrap_or_else(|found| panic!("{context}: {found}"));
    let (obscured, unknown) = (replay.obscured(), replay.unknown());
    let mut said = replay.balances();
    for ((account, asset), balance) in &ledger.balances {
        let key = (account.as_str(), asset.as_str());
        match said.iter().position(|row| (row.account, row.asset) == key) {
            Some(at) => assert_eq!(said.remove(at).balance, *balance, "{context}: {key:?}"),
            None => assert!(unknown.contains(&key) || obscured.contains(&"balance"), "{context}: {key:?}"),
        }
    }
    assert!(said.is_empty(), "{context}: {said:?}");
    for (name, json) in replay.definitions() {
        assert_eq!(ledger.definitions[name], json, "{context}");
    }
    let all = ledger.definitions.len();
    assert!(replay.definitions().len() == all || obscured.contains(&"account"), "{context}");
    for row in replay.remainders() {
        assert_eq!(ledger.remainders[&row.seq], row, "{context}");
    }
    let all = ledger.remainders.len();
    assert!(replay.remainders().len() == all || obscured.contains(&"remainder"), "{context}");
    for (code, scale) in replay.assets() {
        assert_eq!(ledger.assets[code], scale, "{context}");
    }
    assert!(replay.assets().len() == ledger.assets.len() || obscured.contains(&"asset"), "{context}");
    let mut head = replay.head();
    if obscured.contains(&"head") {
        head.closed_before = ledger.head.unwrap().closed_before;
    }
    assert_eq!(Some(head), ledger.head, "{context}");
    replay
}

#[test]
fn any_one_or_two_parts_may_be_destroyed() {
    let ledger = Ledger::with_every_kind();
    for at in 0..ledger.rows.len() {
        let parts = ledger.rows[at].parts().len();
        for (first, second) in (0..parts).flat_map(|first| (first..parts).map(move |second| (first, second))) {
            let mut rows = ledger.rows.clone();
            rows[at].destroy(first);
            rows[at].destroy(second);
            let replay = must_be_honest(&ledger, &rows, &format!("entry {at}, parts {first} and {second}"));
            let mut expected = vec![(at as u64, first as u32), (at as u64, second as u32)];
            expected.dedup();
            assert_eq!(replay.destroyed(), expected);
        }
    }
}

#[test]
fn any_parts_of_random_histories_may_be_destroyed() {
    let (mut said, mut all) = (0, 0);
    for seed in 0..2_000 {
        let ledger = Ledger::random(seed, 8);
        let mut dice = Dice(seed * 2 + 1);
        let mut rows = ledger.rows.clone();
        for row in &mut rows {
            let count = row.parts().len();
            if count == 0 || dice.below(4) > 0 {
                continue;
            }
            let often = 1 + dice.below(6);
            for part in 0..count {
                if dice.below(often) == 0 {
                    row.destroy(part);
                }
            }
        }
        said += must_be_honest(&ledger, &rows, &format!("seed {seed}")).balances().len();
        all += ledger.balances.len();
    }
    assert!(said < all && said > all / 3, "{said} of {all}");
}

fn transfers(count: usize) -> Ledger {
    let mut ledger = Ledger::new();
    for index in 0..count {
        let credit = if index % 2 == 0 { "b" } else { "c" };
        let leg = format!(r#"{{"debit":"a","credit":"{credit}","asset":"EUR/2","amount":"10"}}"#);
        assert_eq!(ledger.apply(&format!(r#"[{{"id":"{index}","legs":[{leg}],"metadata":{{"k":"v"}}}}]"#)), 0);
    }
    ledger
}

/// Parts of the transfers: by, id, legs/0, balances/0, balances/1, metadata/k.
#[test]
fn what_was_destroyed_is_carried_forward_from_the_other_parts() {
    let ledger = transfers(4);
    let destroyed = |parts: &[usize]| {
        let mut rows = ledger.rows.clone();
        parts.iter().for_each(|&part| rows[3].destroy(part));
        must_be_honest(&ledger, &rows, &format!("{parts:?}"))
    };
    // A leg, or balances, or who and what for: nothing is lost.
    for parts in [&[2][..], &[3], &[3, 4], &[0, 1, 5], &[0, 1, 2, 5]] {
        let replay = destroyed(parts);
        assert!(replay.unknown().is_empty() && !replay.obscured().contains(&"balance"), "{parts:?}");
        assert_eq!(replay.balances().len(), 3, "{parts:?}");
    }
    // A leg and a balance: any balance may have changed that is not stated again. Entry 4 states a and c.
    for (parts, unknown) in [(&[2, 3][..], &[][..]), (&[2, 4], &[("b", "EUR/2")]), (&[2, 3, 4], &[("b", "EUR/2")])] {
        let replay = destroyed(parts);
        assert_eq!(replay.unknown(), unknown, "{parts:?}");
        assert_eq!(replay.balances().len(), 3 - unknown.len(), "{parts:?}");
        assert_eq!(replay.obscured(), ["balance", "asset"]);
    }
}

/// Of several legs, those that are shown say which balance a destroyed part was.
#[test]
fn a_key_that_a_shown_leg_gives_away_is_unknown_alone() {
    let mut ledger = transfers(2);
    let legs = r#"[{"debit":"a","credit":"b","asset":"EUR/2","amount":"1"},{"debit":"b","credit":"c","asset":"EUR/2","amount":"2"}]"#;
    assert_eq!(ledger.apply(&format!(r#"[{{"id":"x","legs":{legs},"reference":"r"}}]"#)), 0);
    // by, id, legs/0, legs/1, balances/0 (a), balances/1 (b), balances/2 (c), reference
    let mut rows = ledger.rows.clone();
    rows[3].destroy(3);
    rows[3].destroy(4);
    let replay = must_be_honest(&ledger, &rows, "leg 1 and balance 0");
    assert_eq!(replay.unknown(), [("a", "EUR/2")]);
    assert!(replay.obscured().is_empty());
    // The last balance may be anybody's.
    let mut rows = ledger.rows.clone();
    rows[3].destroy(3);
    rows[3].destroy(6);
    let replay = must_be_honest(&ledger, &rows, "leg 1 and balance 2");
    assert_eq!((replay.unknown(), replay.obscured()), (vec![("c", "EUR/2")], vec!["balance", "asset"]));
}

/// Where balances show that the legs are all there are, what a balancing leg asked for may go without a trace.
#[test]
fn what_was_asked_for_is_destroyed_and_nothing_else_is_unknown() {
    let mut ledger = transfers(1);
    let leg = |debit: &str, amount: &str, more: &str| {
        format!(r#"{{"debit":"{debit}","credit":"c","asset":"EUR/2","amount":"{amount}"{more}}}"#)
    };
    let sweep = r#","balancing":"debit""#;
    let legs = [leg("b", "7", sweep), leg("a", "1", ""), leg("b", "99", sweep)].join(",");
    assert_eq!(ledger.apply(&format!(r#"[{{"id":"x","legs":[{legs}],"reference":"r"}}]"#)), 0);
    assert_eq!(ledger.apply(r#"[{"kind":"reversal","id":"y","reverses":"x","amounts":["1","0","3"]}]"#), 0);
    // by, id, legs/0, legs/1, legs/2, balancing/0, balancing/2, balances/0 (b), /1 (c), /2 (a), reference
    let destroyed = |parts: &[usize]| {
        let mut rows = ledger.rows.clone();
        parts.iter().for_each(|&part| rows[2].destroy(part));
        must_be_honest(&ledger, &rows, &format!("{parts:?}"))
    };
    for parts in [&[5][..], &[6], &[5, 6], &[5, 6, 10], &[5, 6, 8], &[0, 5, 6, 9], &[6, 7, 8, 9]] {
        let replay = destroyed(parts);
        assert!(replay.unknown().is_empty() && replay.obscured().is_empty(), "{parts:?}: {:?}", replay.obscured());
    }
    for parts in [&[4, 5, 6][..], &[5, 7, 8]] {
        assert!(destroyed(parts).obscured().contains(&"remainder"), "{parts:?}");
    }
    // Not so if the balances tell of more than the legs that are shown.
    let mut rows = ledger.rows.clone();
    rows[2].destroy(4);
    rows[2].destroy(5);
    assert!(must_be_honest(&ledger, &rows, "a leg, too").obscured().contains(&"remainder"));
}

/// A destroyed part does not open a door: what is shown must still fit.
#[test]
fn what_is_shown_beside_destroyed_parts_is_still_checked() {
    let ledger = transfers(2);
    let no = ("", "");
    let cases: [(usize, (&str, &str), &str); 3] = [
        (3, ("\"credits\":\"10\"", "\"credits\":\"11\""), "not what the legs amount to"),
        (5, ("\"amount\":\"10\"", "\"amount\":\"11\""), "not what the legs amount to"),
        (0, ("\"account\":\"c\"", "\"account\":\"d\""), "out of its place"),
    ];
    for (part, edit, what) in cases {
        let mut rows = ledger.rows.clone();
        rows[2].edit(no, edit);
        rows[2].destroy(part);
        let found = replayed(&rows).err().unwrap();
        assert!(found.seq == 2 && found.what.contains(what), "{found}");
    }
    let mut rows = ledger.rows.clone();
    rows[2].destroy(1);
    rows[2].id = rows[1].id.clone();
    let found = replayed(&rows).err().unwrap();
    assert!(found.seq == 2 && found.column == "id" && found.what.contains("unique"), "{found}");
    let mut rows = ledger.rows;
    rows[2].destroy(2);
    let body = String::from_utf8(rows[2].body.clone()).unwrap();
    rows[2].body = body.to_uppercase().into_bytes();
    assert_eq!(replayed(&rows).err().unwrap().seq, 2);
}
