//! The bytes of entries.
//!
//! ```text
//! part = ["<salt>","<path>",<value>]          salt 32 hex digits, value canonical JSON (RFC 8785)
//! body = [part,part,…]                        parts in the order of docs/reference/entries.md
//! root = the tree of SHA-256(02 ‖ part) with nodes SHA-256(03 ‖ left ‖ right), shaped as RFC 6962 section 2.1
//! salt = SHA-256(seed ‖ u64be seq ‖ u32be part)[..16]
//! stub = {"at":…,"batch":…,"body":"<root>","kind":"…","ledger":"…","parts":…,"prev":"<hash>","seq":…,"v":1}
//! hash = SHA-256(00 ‖ stub)
//! ```

use json::write_string;
use merkle::{Hash, Tree, EMPTY_ROOT};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::definition::Action;
use crate::kind::Kind;
use crate::plan::{Plan, Planned, PlannedBalance, PlannedLeg, Source, NOT_OF};
use crate::request::{Balancing, Command, Leg, More};
use crate::value::write_total;

/// The root of a body as its parts come: the full subtrees so far, largest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyTree {
    count: usize,
    subtrees: Vec<Hash>,
}

impl BodyTree {
    pub fn clear(&mut self) {
        self.count = 0;
        self.subtrees.clear();
    }

    #[inline]
    pub fn add(&mut self, mut hash: Hash) {
        self.count += 1;
        for _ in 0..self.count.trailing_zeros() {
            let left = self.subtrees.pop().expect("a subtree for every bit of the count");
            hash = Tree::Body.node(&left, &hash);
        }
        self.subtrees.push(hash);
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev();
        let Some(&smallest) = subtrees.next() else { return EMPTY_ROOT };
        subtrees.fold(smallest, |right, left| Tree::Body.node(left, &right))
    }
}

/// Where salts come from.
#[derive(Clone)]
pub(crate) enum Salts {
    Seed([u8; 32]),
    #[cfg(test)]
    Given(Vec<Vec<[u8; 16]>>),
}

impl Salts {
    /// A part that is destroyed later must not be guessed from its hash: nobody may make its salt again.
    pub fn forget(&mut self) {
        match self {
            Salts::Seed(seed) => seed.zeroize(),
            #[cfg(test)]
            Salts::Given(salts) => salts.clear(),
        }
    }

    #[inline]
    fn salt(&self, seq: u64, part: usize) -> [u8; 16] {
        match self {
            Salts::Seed(seed) => {
                let mut input = [0; 44];
                input[..32].copy_from_slice(seed);
                input[32..40].copy_from_slice(&seq.to_be_bytes());
                input[40..].copy_from_slice(&(part as u32).to_be_bytes());
                let digest = Sha256::digest(input);
                digest[..16].try_into().expect("16 of 32 bytes")
            }
            #[cfg(test)]
            Salts::Given(salts) => salts[seq as usize][part],
        }
    }
}

/// Writes one body after the other into one buffer.
pub(crate) struct BodyWriter<'a> {
    pub out: Vec<u8>,
    salts: &'a Salts,
    seq: u64,
    tree: BodyTree,
    start: usize,
}

const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

fn write_hex<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    let mut hex = [[0u8; 2]; N];
    for (pair, &byte) in hex.iter_mut().zip(bytes) {
        *pair = HEX[byte as usize];
    }
    out.extend_from_slice(hex.as_flattened());
}

fn write_number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

impl<'a> BodyWriter<'a> {
    pub fn new(salts: &'a Salts, capacity: usize) -> Self {
        BodyWriter { out: Vec::with_capacity(capacity), salts, seq: 0, tree: BodyTree::default(), start: 0 }
    }

    /// Write the body of an entry; the number of its parts and their root.
    pub fn body(&mut self, plan: &Plan, index: usize) -> (usize, Hash) {
        let entry = &plan.entries[index];
        self.seq = plan.seq(index);
        self.tree.clear();
        match &entry.source {
            Source::Log(_) => return (0, EMPTY_ROOT),
            Source::Expiry(target) => {
                self.string("by", "system:expiry");
                self.string("pending", target);
                self.legs(plan, entry, None);
                self.balances(plan, entry);
            }
            Source::Command(command) => self.command(plan, entry, &plan.requests.commands[*command as usize]),
        }
        self.out.push(b']');
        (self.tree.count(), self.tree.root())
    }

    fn command(&mut self, plan: &Plan, entry: &Planned, command: &Command) {
        let requests = &*plan.requests;
        self.string("by", requests.by(command));
        if let Some(id) = requests.id(command) {
            self.string("id", id);
        }
        let Some(more) = command.more.as_deref() else {
            self.legs(plan, entry, Some(command));
            return self.balances(plan, entry);
        };
        self.before_legs(plan, entry, more);
        self.legs(plan, entry, Some(command));
        self.balances(plan, entry);
        let moments = [("effective", more.effective), ("expires", more.expires)];
        for (path, moment) in moments {
            if let Some(moment) = moment {
                self.string(path, requests.str(moment.text));
            }
        }
        for (path, text) in [("reason", more.reason), ("reference", more.reference)] {
            if let Some(text) = text {
                self.string(path, requests.str(text));
            }
        }
        for &(key, value) in &more.metadata {
            self.open();
            // The path is one string: what `write_string` puts behind its quote goes behind this prefix.
            self.out.extend_from_slice(b"\"metadata/");
            let from = self.out.len();
            write_string(&mut self.out, requests.str(key));
            self.out.remove(from);
            self.out.push(b',');
            write_string(&mut self.out, requests.str(value));
            self.close();
        }
    }

    fn before_legs(&mut self, plan: &Plan, entry: &Planned, more: &More) {
        let requests = &*plan.requests;
        if let (Some(account), Some(change)) = (&entry.account, &more.account) {
            self.value("account", account.as_bytes());
            if change.action != Action::Open {
                self.string("action", change.action.as_str());
            }
        }
        if let Some(event) = more.event {
            self.string("event", requests.str(event));
        }
        if let Some(moment) = more.closed_before {
            self.open();
            self.out.extend_from_slice(b"\"policy\",{\"closed_before\":\"");
            self.out.extend_from_slice(requests.str(moment.text).as_bytes());
            self.out.extend_from_slice(b"\"}");
            self.close();
        }
        if let Some(target) = more.target {
            self.string(if entry.kind == Kind::Reversal { "reverses" } else { "pending" }, requests.str(target));
        }
    }

    fn legs(&mut self, plan: &Plan, entry: &Planned, command: Option<&Command>) {
        let asked = command.map_or(&[][..], |command| plan.requests.legs(command));
        for (index, leg) in plan.legs(entry).iter().enumerate() {
            self.leg(plan, index, leg);
        }
        for (index, leg) in asked.iter().enumerate().filter(|(_, leg)| leg.balancing != Balancing::No) {
            self.balancing(index, leg);
        }
    }

    fn leg(&mut self, plan: &Plan, index: usize, leg: &PlannedLeg) {
        self.open();
        let out = &mut self.out;
        out.extend_from_slice(b"\"legs/");
        write_number(out, index as u64);
        out.extend_from_slice(b"\",{\"amount\":\"");
        write_total(out, leg.amount);
        out.extend_from_slice(b"\",\"asset\":\"");
        out.extend_from_slice(plan.asset(leg.asset).as_bytes());
        out.extend_from_slice(b"\",\"credit\":\"");
        out.extend_from_slice(plan.account(leg.credit).as_bytes());
        out.extend_from_slice(b"\",\"debit\":\"");
        out.extend_from_slice(plan.account(leg.debit).as_bytes());
        out.push(b'"');
        if leg.of != NOT_OF {
            out.extend_from_slice(b",\"of\":");
            write_number(out, u64::from(leg.of));
        }
        out.push(b'}');
        self.close();
    }

    /// A part of its own: beside what was moved, what was asked for tells the one side what the other had.
    fn balancing(&mut self, index: usize, asked: &Leg) {
        self.open();
        let out = &mut self.out;
        out.extend_from_slice(b"\"balancing/");
        write_number(out, index as u64);
        out.extend_from_slice(b"\",{\"requested\":\"");
        write_total(out, asked.amount);
        out.extend_from_slice(b"\",\"side\":\"");
        out.extend_from_slice(asked.balancing.as_str().as_bytes());
        out.extend_from_slice(b"\"}");
        self.close();
    }

    fn balances(&mut self, plan: &Plan, entry: &Planned) {
        for (index, PlannedBalance { account, asset, balance }) in plan.balances(entry).iter().enumerate() {
            self.open();
            let out = &mut self.out;
            out.extend_from_slice(b"\"balances/");
            write_number(out, index as u64);
            out.extend_from_slice(b"\",{\"account\":\"");
            out.extend_from_slice(plan.account(*account).as_bytes());
            out.extend_from_slice(b"\",\"asset\":\"");
            out.extend_from_slice(plan.asset(*asset).as_bytes());
            out.extend_from_slice(b"\",\"credits\":\"");
            write_total(out, balance.credits);
            out.extend_from_slice(b"\",\"debits\":\"");
            write_total(out, balance.debits);
            out.extend_from_slice(b"\",\"pending_credits\":\"");
            write_total(out, balance.pending_credits);
            out.extend_from_slice(b"\",\"pending_debits\":\"");
            write_total(out, balance.pending_debits);
            out.extend_from_slice(b"\"}");
            self.close();
        }
    }

    fn string(&mut self, path: &str, value: &str) {
        self.open();
        self.out.push(b'"');
        self.out.extend_from_slice(path.as_bytes());
        self.out.extend_from_slice(b"\",");
        write_string(&mut self.out, value);
        self.close();
    }

    fn value(&mut self, path: &str, canonical: &[u8]) {
        self.open();
        self.out.push(b'"');
        self.out.extend_from_slice(path.as_bytes());
        self.out.extend_from_slice(b"\",");
        self.out.extend_from_slice(canonical);
        self.close();
    }

    /// Up to the comma after the salt.
    #[inline]
    fn open(&mut self) {
        let part = self.tree.count();
        self.out.push(if part == 0 { b'[' } else { b',' });
        self.start = self.out.len();
        self.out.extend_from_slice(b"[\"");
        write_hex(&mut self.out, &self.salts.salt(self.seq, part));
        self.out.extend_from_slice(b"\",");
    }

    #[inline]
    fn close(&mut self) {
        self.out.push(b']');
        self.tree.add(Tree::Body.leaf(&self.out[self.start..]));
    }
}

/// Append the stub of an entry.
pub(crate) fn write_stub(out: &mut Vec<u8>, plan: &Plan, index: usize, parts: usize, root: &Hash, previous: &Hash) {
    let entry = &plan.entries[index];
    out.extend_from_slice(b"{\"at\":");
    write_number(out, plan.at(index));
    out.extend_from_slice(b",\"batch\":");
    write_number(out, plan.previous.batch);
    out.extend_from_slice(b",\"body\":");
    match &entry.source {
        Source::Log(body) => out.extend_from_slice(body),
        _ => {
            out.push(b'"');
            write_hex(out, root);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(entry.kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"ledger\":");
    write_string(out, &plan.ledger);
    out.extend_from_slice(b",\"parts\":");
    write_number(out, parts as u64);
    write_link(out, previous, plan.seq(index));
}

/// How every stub ends.
pub(crate) fn write_link(out: &mut Vec<u8>, previous: &Hash, seq: u64) {
    out.extend_from_slice(b",\"prev\":\"");
    write_hex(out, previous);
    out.extend_from_slice(b"\",\"seq\":");
    write_number(out, seq);
    out.extend_from_slice(b",\"v\":1}");
}
