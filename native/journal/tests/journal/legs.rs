use crate::store::{account, action, balancing, leg, moving, transaction, Ledger, NO_CREDIT, NO_DEBT};

const MAX: &str = "170141183460469231731687303715884105727";

#[test]
fn a_transaction_moves_its_legs_in_order() {
    let mut ledger = Ledger::implicit();
    let legs = [leg("b", "a", "7"), leg("a", "c", "5"), leg("b", "c", "1").replace("EUR/2", "BTC/8")];
    ledger.accept(&moving("transaction", "1", &legs, ""));
    assert_eq!((ledger.eur("a"), ledger.eur("b"), ledger.eur("c")), ((5, 7, 0, 0), (7, 0, 0, 0), (0, 5, 0, 0)));
    let paths: Vec<String> = ledger.last().parts().into_iter().map(|(path, _)| path).collect();
    let expected = [
        "by",
        "id",
        "legs/0",
        "legs/1",
        "legs/2",
        "balances/0",
        "balances/1",
        "balances/2",
        "balances/3",
        "balances/4",
    ];
    assert_eq!(paths, expected);
    let balances: Vec<String> = (0..5).map(|i| ledger.last().part(&format!("balances/{i}")).unwrap()).collect();
    assert_eq!(
        balances[0],
        r#"{"account":"b","asset":"EUR/2","credits":"0","debits":"7","pending_credits":"0","pending_debits":"0"}"#
    );
    assert_eq!(
        balances[1],
        r#"{"account":"a","asset":"EUR/2","credits":"7","debits":"5","pending_credits":"0","pending_debits":"0"}"#
    );
    assert!(balances[2].contains(r#""account":"c","asset":"EUR/2""#));
    assert!(balances[3].contains(r#""account":"b","asset":"BTC/8""#));
    assert!(balances[4].contains(r#""account":"c","asset":"BTC/8""#));
}

#[test]
fn an_adjustment_has_a_reason_and_an_event_no_legs() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&moving("adjustment", "1", &[leg("a", "b", "5")], r#","reason":"rounding""#));
    assert_eq!(ledger.last().part("reason").unwrap(), r#""rounding""#);
    ledger.accept(r#"{"kind":"event","id":"2","event":"day closed","reference":"r"}"#);
    let paths: Vec<String> = ledger.last().parts().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["by", "id", "event", "reference"]);
}

#[test]
fn insufficient_funds_says_what_there_was() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&format!("[{},{}]", account("c", NO_DEBT), transaction("1", "bank", "c", "10")));
    let refusal = ledger.refused_as("insufficient_funds", &transaction("2", "c", "bank", "11"));
    assert_eq!(refusal.account.as_deref(), Some("c"));
    assert_eq!(refusal.asset.as_deref(), Some("EUR/2"));
    assert_eq!((refusal.needed.as_deref(), refusal.available.as_deref()), (Some("11"), Some("10")));
    ledger.accept(&transaction("2", "c", "bank", "10"));
}

#[test]
fn limits_are_looked_at_once_after_all_legs() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", NO_DEBT));
    ledger.accept(&moving("transaction", "1", &[leg("c", "shop", "9"), leg("bank", "c", "9")], ""));
    ledger.refused_as(
        "insufficient_funds",
        &moving("transaction", "2", &[leg("c", "shop", "9"), leg("bank", "c", "8")], ""),
    );
}

#[test]
fn an_overdraft_is_available_and_lowering_it_refuses_only_what_makes_it_worse() {
    let mut ledger = Ledger::implicit();
    let overdraft = format!(r#"{NO_DEBT},"overdraft":{{"EUR/2":"50"}}"#);
    ledger.accept(&account("c", &overdraft));
    ledger.refused_as("insufficient_funds", &transaction("1", "c", "shop", "51"));
    ledger.accept(&transaction("1", "c", "shop", "50"));
    ledger.accept(&account("c", &format!(r#"{NO_DEBT},"action":"update""#)));
    let refusal = ledger.refused_as("insufficient_funds", &transaction("2", "c", "shop", "1"));
    assert_eq!(refusal.available.as_deref(), Some("-50"));
    // Still negative, but no smaller than before.
    ledger.accept(&transaction("3", "bank", "c", "20"));
    ledger.accept(&moving("transaction", "4", &[leg("c", "shop", "5"), leg("bank", "c", "5")], ""));
}

#[test]
fn the_other_limit_holds_for_credits() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("cash", NO_CREDIT));
    ledger.refused_as("insufficient_funds", &transaction("1", "shop", "cash", "1"));
    ledger.accept(&format!("[{},{}]", transaction("1", "cash", "shop", "5"), transaction("2", "shop", "cash", "5")));
}

#[test]
fn a_balancing_leg_moves_what_is_available() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("0", "bank", "c", "30"));
    ledger.accept(&moving("transaction", "1", &[balancing("c", "shop", "100", "debit")], ""));
    assert_eq!(ledger.last().part("legs/0").unwrap(), r#"{"amount":"30","asset":"EUR/2","credit":"shop","debit":"c"}"#);
    assert_eq!(ledger.last().part("balancing/0").unwrap(), r#"{"requested":"100","side":"debit"}"#);
    let refusal = ledger
        .refused_as("nothing_available", &moving("transaction", "2", &[balancing("c", "shop", "1", "debit")], ""));
    assert_eq!((refusal.account.as_deref(), refusal.leg), (Some("c"), Some(0)));
    // After the legs before it: 20 in, of which 15 go on.
    let legs = [leg("bank", "c", "20"), leg("c", "fees", "5"), balancing("c", "shop", "100", "debit")];
    ledger.accept(&moving("transaction", "3", &legs, ""));
    assert!(ledger.last().part("legs/2").unwrap().contains(r#""amount":"15""#));
    assert_eq!(ledger.last().part("balancing/0"), None);
    let paths = ["\"legs/2\"", "\"balancing/2\"", "\"balances/0\""].map(|path| ledger.last().body.find(path).unwrap());
    assert!(paths.is_sorted());
    // The credit side of `bank` has its 50 debits; the smaller side decides for `both`.
    ledger.accept(&moving("transaction", "4", &[balancing("shop", "bank", "1000", "credit")], ""));
    assert!(ledger.last().part("legs/0").unwrap().contains(r#""amount":"50""#));
    ledger.accept(&format!("[{},{}]", transaction("5", "d", "x", "8"), transaction("6", "x", "e", "3")));
    ledger.accept(&moving("transaction", "7", &[balancing("e", "d", "1000", "both")], ""));
    assert!(ledger.last().part("legs/0").unwrap().contains(r#""amount":"3""#));
}

#[test]
fn a_balancing_leg_counts_overdraft_and_pending() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", &format!(r#"{NO_DEBT},"overdraft":{{"EUR/2":"50"}}"#)));
    ledger.accept(&moving("pending", "1", &[leg("c", "shop", "20")], ""));
    ledger.accept(&moving("transaction", "2", &[balancing("c", "shop", "100", "debit")], ""));
    assert!(ledger.last().part("legs/0").unwrap().contains(r#""amount":"30""#));
}

#[test]
fn totals_stay_below_two_to_the_127() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("1", "a", "b", MAX));
    let refusal = ledger.refused_as("balance_overflow", &transaction("2", "a", "c", "1"));
    assert_eq!((refusal.account.as_deref(), refusal.leg), (Some("a"), Some(0)));
    let refusal = ledger.refused_as("balance_overflow", &transaction("2", "c", "b", "1"));
    assert_eq!(refusal.account.as_deref(), Some("b"));
    ledger.accept(&moving("pending", "3", &[leg("a", "b", MAX)], ""));
    ledger.refused_as("balance_overflow", r#"{"kind":"post","id":"4","pending":"3","amounts":["1"]}"#);
    assert_eq!(ledger.eur("a").2, MAX.parse().unwrap());
    // Sums of four such totals are still told apart.
    ledger.accept(&account("a", &format!(r#"{NO_DEBT},"action":"update","overdraft":{{"EUR/2":"{MAX}"}}"#)));
    let refusal =
        ledger.refused_as("nothing_available", &moving("transaction", "5", &[balancing("a", "c", "1", "debit")], ""));
    assert_eq!(refusal.account.as_deref(), Some("a"));
}

#[test]
fn the_first_use_fixes_a_scale() {
    let mut ledger = Ledger::implicit();
    let eur3 = |id: &str| transaction(id, "a", "b", "1").replace("EUR/2", "EUR/3");
    // Refused entries fix nothing.
    ledger.accept(&account("c", NO_DEBT));
    ledger.refused_as("insufficient_funds", &transaction("0", "c", "b", "1"));
    ledger.accept(&eur3("1"));
    assert_eq!(ledger.assets.get("EUR"), Some(&3));
    let refusal = ledger.refused_as("asset_scale_conflict", &transaction("2", "a", "b", "1"));
    assert_eq!((refusal.expected.as_deref(), refusal.found.as_deref()), (Some("EUR/3"), Some("EUR/2")));
    let mut other = Ledger::implicit();
    let legs = [leg("a", "b", "1"), leg("a", "b", "1").replace("EUR/2", "EUR/3")];
    assert_eq!(other.refused_as("asset_scale_conflict", &moving("transaction", "1", &legs, "")).leg, Some(1));
    other.accept(&eur3("1"));
    other.restart();
    other.refused_as("asset_scale_conflict", &transaction("2", "a", "b", "1"));
}

#[test]
fn accounts_say_no() {
    let mut ledger = Ledger::explicit();
    let refusal = ledger.refused_as("account_not_found", &transaction("1", "a", "b", "1"));
    assert_eq!(refusal.account.as_deref(), Some("a"));
    ledger.accept(&format!("[{},{}]", account("a", ""), account("b", r#","assets":["USD/2","GBP/2"]"#)));
    let refusal = ledger.refused_as("asset_not_allowed", &transaction("1", "a", "b", "1"));
    assert_eq!((refusal.account.as_deref(), refusal.asset.as_deref()), (Some("b"), Some("EUR/2")));
    ledger.accept(&transaction("1", "a", "b", "1").replace("EUR", "GBP"));
    ledger.accept(&action("b", "freeze"));
    ledger.restart();
    assert_eq!(ledger.refused_as("account_frozen", &transaction("2", "a", "b", "1")).account.as_deref(), Some("b"));
    ledger.accept(&account("c", ""));
    ledger.accept(&action("c", "close"));
    assert_eq!(ledger.refused_as("account_closed", &transaction("2", "c", "b", "1")).account.as_deref(), Some("c"));
}
