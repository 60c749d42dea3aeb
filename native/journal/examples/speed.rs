//! Microseconds per one-leg transaction of each stage, in the best of several rounds, beside what bare hashing costs.
//!
//! `cargo run --release --example speed -p tallystick-journal [transactions per batch]`

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use journal::{Journal, Loaded, Requests};
use merkle::Tree;

const ROUNDS: usize = 50;
const ACCOUNTS: usize = 1_000;

fn main() {
    let count = std::env::args().nth(1).map_or(8_189, |count| count.parse().expect("a number"));
    let mut journal = Journal::new("bank.example/ledger/customers");
    let genesis = journal.append("genesis", br#"{"accounts":"implicit"}"#, 1_795_478_400_000_000).expect("genesis");
    journal.commit(&genesis).expect("commit");
    let mut best = [f64::MAX; 4];
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let payload = payload(round, count);
        let start = Instant::now();
        let mut requests = Requests::new();
        requests.begin("service:speed").expect("by");
        requests.json(payload.as_bytes());
        let requests = Arc::new(requests);
        let parsed = start.elapsed();
        let (accounts, _) = journal.missing(&requests, 1_795_478_400_000_000).expect("missing");
        let names: Vec<&str> = accounts.iter().map(String::as_str).collect();
        journal.load(&Loaded { accounts: &names, ..Loaded::default() }).expect("load");
        let start = Instant::now();
        let batch = journal.apply(requests, 1_795_478_400_000_000, [round as u8; 32], &[]).expect("apply");
        let applied = start.elapsed();
        batch.head();
        let built = start.elapsed();
        assert_eq!(batch.refused(), 0);
        let start = Instant::now();
        bytes = batch.copy_image(1).map(|piece| piece.len()).sum();
        let copied = start.elapsed();
        journal.commit(&batch).expect("commit");
        let took = [parsed, applied, built - applied, copied].map(|took| took.as_secs_f64() * 1e6 / count as f64);
        if took.iter().sum::<f64>() < best.iter().sum() {
            best = took;
        }
    }
    let [parse, apply, build, copy] = best;
    println!("{count} transactions a batch, {} bytes stored per transaction", bytes / count);
    println!("parse {parse:.3}  rules {apply:.3}  build {build:.3}  copy image {copy:.3}  µs per transaction");
    let data = vec![0x5au8; 1 << 20];
    let start = Instant::now();
    let hashes: u32 = (0..64).map(|_| u32::from(Tree::Log.leaf(&data)[0])).sum();
    let rate = 64.0 / 1024.0 / start.elapsed().as_secs_f64();
    println!("SHA-256 {rate:.2} GiB/s on one core{}", if hashes == 0 { " " } else { "" });
}

fn payload(round: usize, count: usize) -> String {
    let mut text = String::from("[");
    for index in 0..count {
        let (debit, credit) = (index % 37, 37 + index * 7 % (ACCOUNTS - 37));
        let comma = if index == 0 { "" } else { "," };
        let amount = 100 + index;
        write!(
            text,
            r#"{comma}{{"id":"pay-{round:03}-{index:07}","legs":[{{"debit":"bank:{debit:04}","credit":"customers:{credit:04}","asset":"EUR/2","amount":"{amount}"}}]}}"#
        )
        .expect("a string grows");
    }
    text.push(']');
    text
}
