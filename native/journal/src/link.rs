use merkle::Hash;

use crate::entry::write_link;

/// Follow the chain through consecutive stubs: the first index whose stub does not name `last`, the hash of the one
/// before it, and its own position `first` + index. `hashes` are the stubs' own.
pub fn first_unlinked(mut last: Hash, first: u64, stubs: &[&[u8]], hashes: &[Hash]) -> Option<usize> {
    let mut end = Vec::with_capacity(96);
    for (index, (stub, &hash)) in stubs.iter().zip(hashes).enumerate() {
        end.clear();
        write_link(&mut end, &last, first + index as u64);
        if !stub.ends_with(&end) {
            return Some(index);
        }
        last = hash;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use merkle::Tree;

    fn chain(first: u64, count: u64) -> Vec<Vec<u8>> {
        let mut last = [7; 32];
        let stubs = (first..first + count).map(|seq| {
            let mut stub = format!("{{\"at\":{seq}").into_bytes();
            write_link(&mut stub, &last, seq);
            last = Tree::Log.leaf(&stub);
            stub
        });
        stubs.collect()
    }

    fn first_bad(first: u64, stubs: &[Vec<u8>]) -> Option<usize> {
        let hashes: Vec<Hash> = stubs.iter().map(|stub| Tree::Log.leaf(stub)).collect();
        let stubs: Vec<&[u8]> = stubs.iter().map(Vec::as_slice).collect();
        first_unlinked([7; 32], first, &stubs, &hashes)
    }

    #[test]
    fn the_first_that_does_not_follow_is_named() {
        let sound = chain(98, 5);
        assert!(sound[0].ends_with(format!(",\"prev\":\"{}\",\"seq\":98,\"v\":1}}", "07".repeat(32)).as_bytes()));
        assert_eq!(first_bad(98, &sound), None);
        assert_eq!(first_bad(99, &sound), Some(0));
        assert_eq!(first_bad(98, &[]), None);
        for (index, stub) in sound.iter().enumerate() {
            for byte in 0..stub.len() {
                let mut edited = sound.clone();
                edited[index][byte] ^= 1;
                // What stands before the link is only in the hash, which the next stub names.
                let link = stub.windows(8).position(|bytes| bytes == b",\"prev\":").unwrap();
                let culprit = if byte < link { index + 1 } else { index };
                assert_eq!(first_bad(98, &edited), Some(culprit).filter(|&culprit| culprit < 5), "{index} {byte}");
            }
        }
        let exchanged = [&sound[..1], &sound[2..3], &sound[1..2]].concat();
        assert_eq!(first_bad(98, &exchanged), Some(1));
    }
}
