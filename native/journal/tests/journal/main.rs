//! The journal through its public face, against a store in memory that follows the recorder's steps.

mod accounts;
mod entries;
mod forms;
mod groups;
mod invariants;
mod legs;
mod log;
mod pending;
mod periods;
mod precedence;
mod replays;
mod reversals;
mod store;
