use std::fmt;

use super::blame::{blame, Blame, Checked};
use crate::Kind;

pub(super) const LEGS_MAX: usize = 1_000;

/// Where a part stands in the order of docs/reference/entries.md, "Parts, in this order".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    By,
    Id,
    Account,
    Action,
    Event,
    Policy,
    Pending,
    Reverses,
    Leg(u32),
    Balancing(u32),
    Balance(u32),
    Effective,
    Expires,
    Reason,
    Reference,
    Metadata,
}

impl Place {
    pub fn parse(path: &str) -> Option<Place> {
        Some(match path {
            "by" => Place::By,
            "id" => Place::Id,
            "account" => Place::Account,
            "action" => Place::Action,
            "event" => Place::Event,
            "policy" => Place::Policy,
            "pending" => Place::Pending,
            "reverses" => Place::Reverses,
            "effective" => Place::Effective,
            "expires" => Place::Expires,
            "reason" => Place::Reason,
            "reference" => Place::Reference,
            _ => {
                if let Some(index) = path.strip_prefix("legs/") {
                    Place::Leg(number(index)?)
                } else if let Some(index) = path.strip_prefix("balancing/") {
                    Place::Balancing(number(index)?)
                } else if let Some(index) = path.strip_prefix("balances/") {
                    Place::Balance(number(index)?)
                } else {
                    path.starts_with("metadata/").then_some(Place::Metadata)?
                }
            }
        })
    }

    const fn bit(self) -> u16 {
        1 << match self {
            Place::By => 0,
            Place::Id => 1,
            Place::Account => 2,
            Place::Action => 3,
            Place::Event => 4,
            Place::Policy => 5,
            Place::Pending => 6,
            Place::Reverses => 7,
            Place::Leg(_) => 8,
            Place::Balance(_) => 9,
            Place::Effective => 10,
            Place::Expires => 11,
            Place::Reason => 12,
            Place::Reference => 13,
            Place::Metadata => 14,
            Place::Balancing(_) => 15,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::By => "by",
            Place::Id => "id",
            Place::Account => "account",
            Place::Action => "action",
            Place::Event => "event",
            Place::Policy => "policy",
            Place::Pending => "pending",
            Place::Reverses => "reverses",
            Place::Leg(index) => return write!(f, "legs/{index}"),
            Place::Balancing(index) => return write!(f, "balancing/{index}"),
            Place::Balance(index) => return write!(f, "balances/{index}"),
            Place::Effective => "effective",
            Place::Expires => "expires",
            Place::Reason => "reason",
            Place::Reference => "reference",
            Place::Metadata => "metadata",
        })
    }
}

/// An index in decimal, without leading zero.
fn number(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// The parts of a kind: first exactly `head`, then legs, `balancing/…` and balances if it has them, then some of `rest`.
struct Form {
    head: &'static [Place],
    legs: bool,
    rest: u16,
    /// Of `rest`.
    required: Option<Place>,
}

const fn form(kind: Kind) -> Form {
    use Place::{
        Account, Action, By, Effective, Event, Expires, Id, Metadata, Pending, Policy, Reason, Reference, Reverses,
    };
    const fn set(places: &[Place]) -> u16 {
        let (mut bits, mut index) = (0, 0);
        while index < places.len() {
            bits |= places[index].bit();
            index += 1;
        }
        bits
    }
    let (head, legs, rest, required): (&[Place], _, _, _) = match kind {
        Kind::Transaction => (&[By, Id], true, set(&[Effective, Reference, Metadata]), None),
        Kind::Pending => (&[By, Id], true, set(&[Effective, Expires, Reference, Metadata]), None),
        Kind::Post => (&[By, Id, Pending], true, set(&[Effective, Reference, Metadata]), None),
        Kind::Void => (&[By, Id, Pending], true, set(&[Reason, Reference, Metadata]), None),
        Kind::Expire => (&[By, Pending], true, 0, None),
        Kind::Reversal => (&[By, Id, Reverses], true, set(&[Effective, Reason, Reference, Metadata]), None),
        Kind::Adjustment => (&[By, Id], true, set(&[Effective, Reason, Reference, Metadata]), Some(Reason)),
        Kind::Event => (&[By, Id, Event], false, set(&[Effective, Reference, Metadata]), None),
        Kind::Account => (&[By], false, set(&[Id, Account, Action, Reason, Metadata]), Some(Account)),
        Kind::Policy => (&[By, Id, Policy], false, set(&[Reason]), None),
        Kind::Genesis | Kind::Key | Kind::Seal => (&[], false, 0, None),
    };
    Form { head, legs, rest, required }
}

/// Whether legs of this kind may be balancing.
pub(super) const fn may_balance(kind: Kind) -> bool {
    matches!(kind, Kind::Transaction | Kind::Pending | Kind::Adjustment)
}

/// The places of an entry's parts as they are read; `None` for one that was destroyed.
#[derive(Debug, Default)]
pub(super) struct Layout {
    places: Vec<Option<Place>>,
    last: Option<Place>,
    hidden: bool,
    /// Position after the last leg that is shown.
    legs_end: usize,
    /// Position of the first balancing/… that is shown, and how many are.
    balancing: Option<usize>,
    balancings: usize,
    /// Position after the last of them.
    balancing_end: usize,
    /// Position of balances/0, once a balance is shown.
    balances: Option<usize>,
}

/// What destroyed parts leave open in an entry with legs.
#[derive(Debug)]
pub(super) struct Gaps {
    /// Position of legs/0.
    pub legs: usize,
    /// Position before which all legs stand.
    pub legs_end: usize,
    /// How many balancing/… are shown.
    pub balancings: usize,
    /// The kind may have more of them, where parts were destroyed.
    pub may_balance: bool,
    /// Position of balances/0, if a balance is shown.
    pub balances: Option<usize>,
    /// Position of the first part shown after the balances, or the number of parts.
    pub end: usize,
}

impl Layout {
    pub fn clear(&mut self) {
        self.places.clear();
        (self.last, self.hidden, self.legs_end, self.balances) = (None, false, 0, None);
        (self.balancing, self.balancings, self.balancing_end) = (None, 0, 0);
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn destroyed(&mut self) {
        self.hidden = true;
        self.places.push(None);
    }

    pub fn shown(&mut self, kind: Kind, place: Place) -> Checked<()> {
        let (form, position) = (form(kind), self.places.len());
        let head = form.head.len();
        let later = self.last.is_none_or(|last| last < place || (last, place) == (Place::Metadata, Place::Metadata));
        let fits = later
            && match place {
                _ if position < head => form.head[position] == place,
                Place::Leg(index) => form.legs && position == head + index as usize && (index as usize) < LEGS_MAX,
                Place::Balancing(index) => may_balance(kind) && self.balancing_fits(position, index as usize, head),
                Place::Balance(index) => form.legs && self.balance_fits(position, index as usize, head),
                _ => form.rest & place.bit() != 0,
            };
        if !fits {
            return Err(blame(
                "body",
                format!("part {position} of this {} is out of place", kind.as_str()),
                "the parts of the kind in their order",
                place,
            ));
        }
        match place {
            Place::Leg(_) => self.legs_end = position + 1,
            Place::Balancing(_) => {
                self.balancing.get_or_insert(position);
                self.balancings += 1;
                self.balancing_end = position + 1;
            }
            Place::Balance(index) => self.balances = Some(position - index as usize),
            _ => {}
        }
        self.last = Some(place);
        self.places.push(Some(place));
        Ok(())
    }

    /// It is of a leg: so many legs stand before the first of its sort. Destroyed parts between two may be others.
    fn balancing_fits(&self, position: usize, index: usize, head: usize) -> bool {
        let apart = match self.last {
            Some(Place::Balancing(last)) => {
                let before = self.places.iter().rposition(Option::is_some).map_or(0, |shown| position - shown);
                before <= index - last as usize
            }
            _ => true,
        };
        let first = self.balancing.unwrap_or(position);
        apart && index < LEGS_MAX && head + index < first && first <= head + index + LEGS_MAX
    }

    /// Balances follow 1 to 1000 legs and at most as many balancing/…, all of those that are shown.
    fn balance_fits(&self, position: usize, index: usize, head: usize) -> bool {
        let earliest = self.legs_end.max(head + 1).max(self.balancing_end);
        if index >= 2 * LEGS_MAX || position > index + head + 2 * LEGS_MAX {
            return false;
        }
        match (position.checked_sub(index), self.balances) {
            (Some(start), Some(balances)) => start == balances,
            (Some(start), None) => {
                start >= earliest && (start == earliest || self.places[earliest..start].contains(&None))
            }
            (None, _) => false,
        }
    }

    /// All parts are read: none may be missing.
    pub fn finish(&self, kind: Kind) -> Checked<()> {
        let form = form(kind);
        // One leg moves between two accounts, so two balances at least.
        let least = form.head.len() + if form.legs { 3 } else { 0 };
        let missing = |what: String| -> Checked<()> {
            Err(blame(
                "body",
                format!("parts of this {} are missing", kind.as_str()),
                what,
                format!("{} parts", self.places.len()),
            ))
        };
        if self.places.len() < least {
            return missing(format!("at least {least} parts"));
        }
        if form.legs && !self.hidden && self.balances.is_none() {
            return missing("balances".into());
        }
        match form.required {
            Some(place) if !self.places.contains(&Some(place)) && !self.may_hide(kind, place) => {
                missing(place.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Whether a destroyed part may have been this one.
    pub fn may_hide(&self, kind: Kind, place: Place) -> bool {
        let form = form(kind);
        if let Some(position) = form.head.iter().position(|&other| other == place) {
            return self.places[position].is_none();
        }
        let shown = |position: usize| self.places[position];
        let from = (0..self.len()).rfind(|&at| shown(at).is_some_and(|other| other < place)).map_or(0, |at| at + 1);
        let end = (0..self.len()).find(|&at| shown(at).is_some_and(|other| other > place)).unwrap_or(self.len());
        self.hidden
            && form.rest & place.bit() != 0
            && self.places.get(from..end).is_some_and(|between| between.contains(&None))
    }

    pub fn hidden(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.iter().enumerate().filter(|(_, place)| place.is_none()).map(|(position, _)| position as u32)
    }

    pub fn gaps(&self, kind: Kind) -> Option<Gaps> {
        let form = form(kind);
        let after = |place: &Option<Place>| place.is_some_and(|place| place >= Place::Effective);
        (self.hidden && form.legs).then(|| Gaps {
            legs: form.head.len(),
            legs_end: self.balancing.or(self.balances).unwrap_or(self.places.len()),
            balancings: self.balancings,
            may_balance: may_balance(kind),
            balances: self.balances,
            end: self.places.iter().position(after).unwrap_or(self.places.len()),
        })
    }
}

/// A part that its kind does not have in this form.
#[cold]
pub(super) fn malformed(place: Place, expected: &str, found: impl ToString) -> Box<Blame> {
    blame("body", format!("part {place} does not have its form"), expected, found)
}
