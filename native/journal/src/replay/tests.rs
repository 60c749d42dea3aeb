mod destroyed;
mod ledger;
mod mutations;
mod vectors;
