use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct strings, numbered in order of arrival, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, index: u32) -> &str {
        slice(&self.text, &self.ends, index)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.get(index as u32))
    }

    /// The number of a string, given a new one if `valid` says so of a string seen for the first time.
    #[inline]
    pub fn intern(&mut self, name: &str, valid: impl FnOnce(&str) -> bool) -> Option<u32> {
        let hash = self.hasher.hash_one(name.as_bytes());
        if let Some(&index) = self.table.find(hash, |&index| slice(&self.text, &self.ends, index) == name) {
            return Some(index);
        }
        if !valid(name) {
            return None;
        }
        let index = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        self.table.insert_unique(hash, index, |&index| hasher.hash_one(slice(text, ends, index).as_bytes()));
        Some(index)
    }
}

#[inline]
fn slice<'a>(text: &'a str, ends: &[u32], index: u32) -> &'a str {
    let start = if index == 0 { 0 } else { ends[index as usize - 1] };
    &text[start as usize..ends[index as usize] as usize]
}
