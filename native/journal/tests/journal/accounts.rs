use crate::store::{account, action, transaction, Ledger, NO_DEBT};

#[test]
fn a_definition_is_recorded_whole() {
    let mut ledger = Ledger::implicit();
    let terms = r#","id":"open-c","limit":"debits_must_not_exceed_credits","normal":"credit","overdraft":{"USD/2":"5","EUR/2":"10"},"assets":["USD/2","EUR/2"],"metadata":{"b":"2","a":"1"}"#;
    ledger.accept(&account("c", terms));
    let expected = r#"{"assets":["EUR/2","USD/2"],"limit":"debits_must_not_exceed_credits","name":"c","normal":"credit","overdraft":{"EUR/2":"10","USD/2":"5"}}"#;
    assert_eq!(ledger.last().part("account").unwrap(), expected);
    assert_eq!(ledger.definitions["c"], expected);
    let paths: Vec<String> = ledger.last().parts().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["by", "id", "account", "metadata/a", "metadata/b"]);
    // Named assets fix no scale.
    assert!(ledger.assets.is_empty());
    ledger.restart();
    ledger.accept(&action("c", "freeze"));
    assert_eq!(ledger.definitions["c"], expected.replace("}}", r#"},"state":"frozen"}"#));
    assert_eq!(ledger.last().part("action").unwrap(), "\"freeze\"");
    // An update replaces the terms and keeps the state.
    ledger.accept(&account("c", r#","action":"update","limit":"none""#));
    assert_eq!(ledger.definitions["c"], r#"{"name":"c","state":"frozen"}"#);
    ledger.accept(&action("c", "unfreeze"));
    assert_eq!(ledger.definitions["c"], r#"{"name":"c"}"#);
    assert_eq!(ledger.last().id, None);
}

#[test]
fn actions_fit_the_state() {
    let mut ledger = Ledger::implicit();
    for verb in ["update", "freeze", "unfreeze", "close", "reopen"] {
        let refusal = ledger.refused_as("account_not_found", &action("c", verb));
        assert_eq!(refusal.account.as_deref(), Some("c"));
    }
    ledger.accept(&account("c", ""));
    ledger.refused_as("account_exists", &account("c", ""));
    ledger.refused_as("account_not_frozen", &action("c", "unfreeze"));
    ledger.refused_as("account_not_closed", &action("c", "reopen"));
    ledger.accept(&action("c", "freeze"));
    ledger.refused_as("account_frozen", &action("c", "freeze"));
    ledger.refused_as("account_not_closed", &action("c", "reopen"));
    ledger.accept(&action("c", "close"));
    for verb in ["update", "freeze", "close"] {
        ledger.refused_as("account_closed", &action("c", verb));
    }
    ledger.refused_as("account_not_frozen", &action("c", "unfreeze"));
    ledger.refused_as("account_exists", &action("c", "open"));
    ledger.accept(&action("c", "reopen"));
    assert_eq!(ledger.definitions["c"], r#"{"name":"c"}"#);
}

#[test]
fn an_account_with_a_balance_or_something_pending_is_not_closed() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("1", "a", "c", "5"));
    ledger.refused_as("account_exists", &account("c", ""));
    ledger.restart();
    ledger.refused_as("account_exists", &account("c", ""));
    ledger.refused_as("account_not_empty", &action("c", "close"));
    ledger.accept(&transaction("2", "c", "a", "5"));
    ledger.accept(&crate::store::pending("3", "c", "a", "1", ""));
    ledger.refused_as("account_not_empty", &action("c", "close"));
    ledger.accept(&crate::store::void("4", "3"));
    ledger.accept(&action("c", "close"));
    assert_eq!(ledger.definitions["c"], r#"{"name":"c","state":"closed"}"#);
}

#[test]
fn a_refused_use_is_no_use() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("poor", NO_DEBT));
    ledger.refused_as("insufficient_funds", &transaction("1", "poor", "c", "5"));
    ledger.accept(&account("c", ""));
}

#[test]
fn named_assets_fit_the_fixed_scales() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("1", "a", "b", "5"));
    let refusal = ledger.refused_as("asset_scale_conflict", &account("c", r#","assets":["EUR/3"]"#));
    assert_eq!((refusal.member.as_deref(), refusal.expected.as_deref()), (Some("assets"), Some("EUR/2")));
    let overdraft = format!(r#"{NO_DEBT},"overdraft":{{"EUR/0":"1"}}"#);
    assert_eq!(
        ledger.refused_as("asset_scale_conflict", &account("c", &overdraft)).member.as_deref(),
        Some("overdraft")
    );
    ledger.accept(&account("c", r#","assets":["EUR/2","JPY/0"]"#));
}
